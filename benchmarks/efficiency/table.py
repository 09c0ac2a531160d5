"""Tables and pictures from the runs that there are, for one set, into benchmarks/results/efficiency/.

    python benchmarks/efficiency/table.py --set development
    python benchmarks/efficiency/table.py --set development --peers ours,ours:lengths=one,random --out elsewhere/

For each q and encoding: what was found overall (mean ranks, paired differences to the reference with their errors, tests
corrected after Holm), each pool in full, and the mean curves. Only seeds that every peer on a pool has played enter, so all
is paired; a peer without a run on a pool is left out there and said so. Of a peer's versions the newest is taken, and named.
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

from efficiency import peers, runs, split
from efficiency.gather import Block, gather
from efficiency.picture import curves
from efficiency.run import TEST_WARNING, found
from efficiency.words import markdown

RESULTS = Path(__file__).resolve().parents[1] / "results" / "efficiency"


def main(arguments: Sequence[str] | None = None) -> Path:
    """Write the Markdown, the pictures and the JSON; returns the Markdown's path."""
    options = _parser().parse_args(arguments)
    if options.set == "test":
        print(TEST_WARNING, file=sys.stderr)
    names = peers.split(options.peers)
    pools = found(options.set, options.pools)
    chosen = [peers.parse(name) for name in names if name != peers.RANDOM]
    blocks = [
        block
        for encoding in options.encodings.split(",")
        for q in options.q
        if (block := gather(options.runs, pools, chosen, encoding, q, options.reference)).scenes
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{options.set}.md"
    if not blocks:
        sys.exit(f"no runs of the set {options.set!r} under {options.runs}: run.py makes them")
    pictures = [curves(block, options.out / f"{options.set}-{block.encoding}-q{block.q}.png") for block in blocks]
    path.write_text(markdown(options.set, blocks, [picture.name for picture in pictures]))
    body = {"set": options.set, "blocks": [_json(block) for block in blocks]}
    path.with_suffix(".json").write_text(json.dumps(body, indent=None) + "\n")
    print(path.read_text())
    return path


def _json(block: Block) -> dict[str, Any]:
    """The runs that entered, one short line each, with versions and machines: enough to make the tables again."""
    kept = ("seed", "status", "error", "rows", "seconds", "cpu", "begin", "whole", "peak_mb", "machine", "at")
    return {
        "encoding": block.encoding,
        "q": block.q,
        "versions": block.versions,
        "pools": {
            name: {
                "hash": scene.pool.hash,
                "horizon": scene.pool.horizon,
                "seeds": list(scene.seeds),
                "runs": {
                    peer: [{key: record[key] for key in kept} for record in records]
                    for peer, records in scene.records.items()
                },
            }
            for name, scene in block.scenes.items()
        },
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=split.SETS, default="development")
    parser.add_argument("--pools", nargs="*", default=())
    parser.add_argument("--peers", default=",".join([*(kind.name for kind in peers.KINDS), peers.RANDOM]))
    parser.add_argument("--reference", default="ours", help="the peer that the others are compared with")
    parser.add_argument("--q", type=int, nargs="*", default=(1, 5))
    parser.add_argument("--encodings", default="same,own")
    parser.add_argument("--runs", type=Path, default=runs.RUNS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser


if __name__ == "__main__":
    main()
