"""Plays the peers on the pools, every run once, until the hours are spent; may be stopped and started again at any time.

    python benchmarks/efficiency/run.py --set development --hours 2
    python benchmarks/efficiency/run.py --set development --hours 1 --peers ours,ours:lengths=one --pools band_gap --q 5
    python benchmarks/efficiency/table.py --set development        # whenever a table is wanted

The order is: seed, then pool, then q, then encoding, then peer, whose order rotates with the seed; so peers are interleaved
in time, and at every stop each has been played about equally often. Up to `--seeds` where a peer's runs take less than 10 s
of a processor (median), `--slow-seeds` elsewhere. A run over `--limit` seconds is ended, kept as `late` and counted; so is one that
failed. A peer of whose runs on a pool the first three all ended so is not asked again there.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from efficiency import peers, runs, split
from efficiency.pool import Pool
from efficiency.pools import Missing, load
from efficiency.runs import Cell
from efficiency.talk import Conversation, Failed, TooLate

QUICK = 10.0
HOPELESS = 3
TEST_WARNING = """\
This is the test set. It is to be read once, with the defaults frozen: every look that is followed by a change makes its
numbers worth less. Tune on --set development."""


class Study:
    """The conversations that are open, and what has been played."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.talks: dict[str, Conversation] = {}
        self.unable: dict[str, str] = {}

    def talk(self, peer: peers.Peer) -> Conversation | None:
        """An open conversation with a peer's kind, or None where it cannot be had, which is said once."""
        name = peer.kind.name
        if name in self.unable:
            return None
        if name not in self.talks or not self.talks[name].alive:
            self.close(name)
            try:
                self.talks[name] = Conversation(peer.kind, self.options.runs / "logs" / f"{name}.txt")
            except (Failed, TooLate) as error:
                self.unable[name] = str(error) or "it did not start in time"
                print(f"skipped: {self.unable[name]}", file=sys.stderr)
                return None
        return self.talks[name]

    def close(self, name: str) -> None:
        """End the conversation with one."""
        if talk := self.talks.pop(name, None):
            talk.close()

    def end(self) -> None:
        """End them all."""
        for name in list(self.talks):
            self.close(name)

    def cell(self, pool: Pool, peer: peers.Peer, encoding: str, q: int) -> Cell | None:
        """Where the runs of a peer belong; None where it cannot be played."""
        talk = self.talk(peer)
        if talk is None:
            return None
        return Cell(pool.name, pool.hash, peer.name, runs.version_of(talk), peer.encoding(pool, encoding), q)

    def due(self, cell: Cell, seed: int) -> bool:
        """Whether this run is still to be made."""
        root, options = self.options.runs, self.options
        path = cell.path(root, seed)
        if path.exists():
            return False
        found = cell.records(root)
        ended = [record for record in found.values() if record["status"] != "done"]
        if len(ended) >= HOPELESS and len(ended) == len(found):
            return False
        slow = found and statistics.median(runs.cost(record) for record in found.values()) >= QUICK
        return seed < (min(options.slow_seeds, options.seeds) if slow else options.seeds)

    def play(self, pool: Pool, peer: peers.Peer, cell: Cell, seed: int) -> None:
        """One run, and its record."""
        talk = self.talk(peer)
        if talk is None:
            return
        folder = pool.write(self.options.runs / "pools")
        record = runs.play(pool, peer, talk, cell, seed, folder=folder, limit=self.options.limit)
        runs.write(record, cell.path(self.options.runs, seed))
        if record["status"] != "done":
            self.close(peer.kind.name)
        best = max(pool.utilities[record["rows"]])
        print(
            f"{time.strftime('%H:%M:%S')} seed {seed} {pool.name} q={cell.q} {cell.encoding} {peer.name}: {record['status']} "
            f"{record['error']} in {record['whole']:.1f} s ({runs.cost(record):.1f} of a processor), best {pool.sign * best:.4g} of {pool.sign * pool.utilities.max():.4g}",
            flush=True,
        )


def order(
    pools: Sequence[Pool], chosen: Sequence[peers.Peer], encodings: Sequence[str], batches: Sequence[int], seeds: int
) -> Iterator[tuple[int, Pool, int, str, peers.Peer]]:
    """Round-robin: seed by seed over everything, the first peer another one each time."""
    for seed in range(seeds):
        turn = seed % max(1, len(chosen))
        rotated = [*chosen[turn:], *chosen[:turn]]
        for pool in pools:
            for q in batches:
                for encoding in encodings if pool.raw else [e for e in encodings if e == "same"]:
                    for peer in rotated:
                        yield seed, pool, q, encoding, peer


def main(arguments: Sequence[str] | None = None) -> None:
    """Play until all is played or the hours are spent."""
    options = _parser().parse_args(arguments)
    if options.set == "test":
        print(TEST_WARNING, file=sys.stderr)
    pools = found(options.set, options.pools)
    chosen = [peers.parse(name) for name in peers.split(options.peers) if name != peers.RANDOM]
    until = time.monotonic() + 3600.0 * options.hours
    study = Study(options)
    with ExitStack() as stack:
        stack.callback(study.end)
        for seed, pool, q, encoding, peer in order(
            pools, chosen, options.encodings.split(","), options.q, options.seeds
        ):
            if time.monotonic() > until:
                print("the hours are spent; the same command goes on")
                return
            cell = study.cell(pool, peer, encoding, q)
            if cell is not None and study.due(cell, seed):
                study.play(pool, peer, cell, seed)
    print("all is played")


def found(which: str, names: Sequence[str] = (), members: Sequence[str] | None = None) -> list[Pool]:
    """The pools of a set, or those named of it; what is missing is skipped and said. SystemExit for a name of another set.

    members: all names of the set, where it is another study's.
    """
    if members is None:
        members = [one.name for one in split.members(which)]
    if others := sorted(set(names) - set(members)):
        sys.exit(f"not in the set {which!r}: {', '.join(others)}; it holds {', '.join(members)}")
    pools = []
    for name in names or members:
        try:
            pools.append(load(name))
        except Missing as error:
            print(f"skipped: {error}", file=sys.stderr)
    return pools


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=split.SETS, default="development")
    parser.add_argument("--hours", type=float, required=True)
    parser.add_argument("--pools", nargs="*", default=(), help="some of the set; all of them otherwise")
    parser.add_argument("--peers", default=",".join(kind.name for kind in peers.KINDS))
    parser.add_argument("--q", type=int, nargs="*", default=(1, 5))
    parser.add_argument("--encodings", default="same,own")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--slow-seeds", type=int, default=10)
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds of one run, by the wall")
    parser.add_argument("--runs", type=Path, default=runs.RUNS, help="where the runs are kept")
    return parser


if __name__ == "__main__":
    main()
