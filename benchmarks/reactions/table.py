"""Tables and pictures from the runs that there are, for one set, into benchmarks/results/reactions-<set>.{md,json,png}.

    python benchmarks/reactions/table.py --set development
    python benchmarks/reactions/table.py --set development --contenders substances one-hot published --out elsewhere/

First the goal: experiments of the reference over those of each other one, to the top 5 %, as a geometric mean over tables in which
siblings share one vote. Then every table in full. Only seeds that all contenders of a table have played enter, so all is paired.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from efficiency.gather import Block
from efficiency.picture import curves
from efficiency.run import TEST_WARNING, found

from reactions import split
from reactions.contenders import OURS, contender
from reactions.gather import gather
from reactions.play import add_common
from reactions.words import markdown

RESULTS = Path(__file__).resolve().parents[1] / "results"


def main(arguments: Sequence[str] | None = None) -> Path:
    """Write the Markdown, the picture and the JSON; returns the Markdown's path."""
    options = _parser().parse_args(arguments)
    if options.set == "test":
        print(TEST_WARNING, file=sys.stderr)
    chosen = [contender(text) for text in options.contenders]
    wanted = dict(text.split("=", 1) for text in options.versions)
    pools = found(options.set, options.pools, split.members(options.set))
    block = gather(options.runs, pools, chosen, options.reference, wanted)
    if not block.scenes:
        sys.exit(f"no seed that all contenders have played, under {options.runs}: play.py makes runs")
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"reactions-{options.set}.md"
    picture = curves(block, path.with_suffix(".png"))
    path.write_text(markdown(options.set, block, picture.name))
    path.with_suffix(".json").write_text(json.dumps(_json(options.set, block)) + "\n")
    print(path.read_text())
    return path


def _json(which: str, block: Block) -> dict[str, Any]:
    """The runs that entered, with versions: enough to make the tables again."""
    return {
        "set": which,
        "q": block.q,
        "reference": block.reference,
        "versions": block.versions,
        "tables": {
            name: {
                "hash": scene.pool.hash,
                "horizon": scene.pool.horizon,
                "seeds": list(scene.seeds),
                "runs": {one: [_short(record) for record in records] for one, records in scene.records.items()},
            }
            for name, scene in block.scenes.items()
        },
    }


def _short(record: dict[str, Any]) -> dict[str, Any]:
    told = {key: record[key] for key in ("seed", "peer", "encoding", "status", "error", "rows")}
    return told | {"cpu": round(sum(record["cpu"]), 1)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common(parser)
    parser.add_argument("--reference", default=OURS, help="the contender that the others are compared with")
    parser.add_argument(
        "--versions", nargs="*", default=(), help="peer=hash, where not the version played last is meant"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser


if __name__ == "__main__":
    main()
