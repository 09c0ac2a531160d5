"""Plays the contenders on the tables of a set, every run once; may be stopped and started again at any time.

    python benchmarks/reactions/play.py --set development --hours 1
    python benchmarks/reactions/play.py --set development --contenders substances ours:model=evidence,molecules=substances@own --hours 1
    python benchmarks/reactions/table.py --set development        # whenever a table is wanted

Five at a time (q = 5), after ten random starts that all share. The rules, the environments of the peers
(benchmarks/efficiency/envs.py) and the folder of runs are those of the efficiency study: what was played there is not played again.
The order is seed, table, contender, whose order rotates with the seed; so at every stop all have been played about equally often.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from efficiency import runs
from efficiency.pool import Pool
from efficiency.run import TEST_WARNING, Study, found

from reactions import split
from reactions.contenders import KNOWN, Contender, contender

Q = 5


def order(
    pools: Sequence[Pool], chosen: Sequence[Contender], seeds: int
) -> Iterator[tuple[int, Pool, Contender]]:  # fmt: skip
    """Seed by seed over everything, the first contender another one each time."""
    for seed in range(seeds):
        turn = seed % max(1, len(chosen))
        for pool in pools:
            for one in (*chosen[turn:], *chosen[:turn]):
                yield seed, pool, one


def main(arguments: Sequence[str] | None = None) -> None:
    """Play until all is played or the hours are spent."""
    options = _parser().parse_args(arguments)
    if options.set == "test":
        print(TEST_WARNING, file=sys.stderr)
    pools = found(options.set, options.pools, split.members(options.set))
    chosen = [contender(text) for text in options.contenders]
    until = time.monotonic() + 3600.0 * options.hours
    study = Study(options)
    with ExitStack() as stack:
        stack.callback(study.end)
        for seed, pool, one in order(pools, chosen, options.seeds):
            if time.monotonic() > until:
                print("the hours are spent; the same command goes on")
                return
            peer, encoding = one.at(pool)
            cell = study.cell(pool, peer, encoding, Q)
            if cell is not None and study.due(cell, seed):
                study.play(pool, peer, cell, seed)
    print("all is played")


def add_common(parser: argparse.ArgumentParser) -> None:
    """Options that playing and tabulating share."""
    parser.add_argument("--set", choices=split.SETS, default="development")
    parser.add_argument("--pools", nargs="*", default=(), help="some of the set; all of them otherwise")
    parser.add_argument("--contenders", nargs="*", default=tuple(KNOWN), help="names, or peer@encoding")
    parser.add_argument("--runs", type=Path, default=runs.RUNS, help="where the runs are kept")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common(parser)
    parser.add_argument("--hours", type=float, required=True)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--slow-seeds", type=int, default=10, help="where a run takes more than 10 s of a processor")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds of one run, by the wall")
    return parser


if __name__ == "__main__":
    main()
