"""From the folder of runs to paired measures: one block for an encoding and a q."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from discover.values import FloatArray
from efficiency import comparing
from efficiency.comparing import Estimate
from efficiency.measures import Scene, Worth
from efficiency.peers import RANDOM, Peer
from efficiency.pool import Pool
from efficiency.runs import Cell, tame


@dataclass(frozen=True)
class Played:
    """One pool: the seeds that all its peers have, the records of these and the worth of each; chance is a peer too."""

    pool: Pool
    seeds: tuple[int, ...]
    records: dict[str, list[dict[str, Any]]]
    worth: dict[str, list[Worth]]

    def array(self, peer: str, measure: str) -> FloatArray:
        """[seeds] of a measure."""
        return np.array([getattr(worth, measure) for worth in self.worth[peer]])

    def least(self, measure: str) -> FloatArray:
        """[seeds] of a measure, for one that knows the answers."""
        scene = Scene.of(self.pool.utilities, self.pool.horizon)
        return np.array([getattr(scene.foresight(self.pool.starts(seed)), measure) for seed in self.seeds])

    def curves(self, peer: str) -> FloatArray:
        """[seeds, horizon]."""
        return np.stack([worth.curve for worth in self.worth[peer]])


@dataclass(frozen=True)
class Block:
    """All pools for one encoding and one q. scenes: by pool; titles: by peer.

    absent: peers that have runs, but none there. unplayed: titles of those that have none at all, and are no part of it.
    """

    encoding: str
    q: int
    reference: str
    titles: dict[str, str]
    unplayed: tuple[str, ...]
    versions: dict[str, dict[str, Any]]
    scenes: dict[str, Played] = field(default_factory=dict)
    absent: dict[str, list[str]] = field(default_factory=dict)

    @property
    def full(self) -> dict[str, Played]:
        """Pools with every peer and at least two paired seeds: those that ranks and differences are made from."""
        wanted = set(self.titles)
        return {name: p for name, p in self.scenes.items() if set(p.worth) == wanted and len(p.seeds) > 1}

    @property
    def groups(self) -> dict[str, str]:
        """The group of siblings of each pool."""
        return {name: played.pool.entry.group for name, played in self.scenes.items()}

    @property
    def others(self) -> list[str]:
        """All but the reference."""
        return [peer for peer in self.titles if peer != self.reference]

    def ranks(self) -> dict[str, Estimate]:
        """Mean rank by area of each peer over the full pools."""
        areas = {n: np.stack([p.array(peer, "area") for peer in self.titles], axis=1) for n, p in self.full.items()}
        return dict(zip(self.titles, comparing.mean_ranks(areas, self.groups), strict=True))

    def gains(self, peer: str) -> tuple[Estimate, float]:
        """Area of the reference minus that of a peer over the full pools: see `comparing.difference`."""
        return comparing.difference({n: self.differences(n, peer) for n in self.full}, self.groups)

    def differences(self, pool: str, peer: str) -> FloatArray:
        """[seeds] area of the reference minus that of a peer."""
        played = self.scenes[pool]
        return played.array(self.reference, "area") - played.array(peer, "area")

    def ratio(self, peer: str) -> float:
        """Geometric mean over the full pools of a peer's experiments to the top 1 % over the reference's."""
        return self._over_reference({name: played.array(peer, "to_top") for name, played in self.full.items()})

    def floor(self) -> float:
        """The same of one that knows the answers."""
        return self._over_reference({name: played.least("to_top") for name, played in self.full.items()})

    def _over_reference(self, needed: dict[str, FloatArray]) -> float:
        ours = {name: played.array(self.reference, "to_top") for name, played in self.full.items()}
        return comparing.geometric({n: float(needed[n].mean() / ours[n].mean()) for n in needed}, self.groups)

    @cached_property
    def verdicts(self) -> dict[tuple[str, str], int]:
        """{(pool, peer): +1 where the reference is better, -1 where worse, 0 undecided}, Holm over all of the block's tests."""
        if self.reference not in self.titles:
            return {}
        keys = [
            (name, peer)
            for name, played in self.scenes.items()
            for peer in self.others
            if len(played.seeds) > 1 and {peer, self.reference} <= set(played.worth)
        ]
        found = [self.differences(*key) for key in keys]
        rejected = comparing.holm([comparing.paired_p(values) for values in found])
        return {key: int(np.sign(v.mean())) if no else 0 for key, v, no in zip(keys, found, rejected, strict=True)}


def gather(root: Path, pools: Sequence[Pool], peers: Sequence[Peer], encoding: str, q: int, reference: str) -> Block:
    """Reads the runs. On the encoding `own` only pools that carry more than numbers are looked at."""
    wanted = [pool for pool in pools if encoding == "same" or pool.raw]
    versions = {peer.name: newest(root, wanted, peer, encoding, q) for peer in peers}
    unplayed = tuple(peer.title for peer in peers if not versions[peer.name])
    peers = [peer for peer in peers if versions[peer.name]]
    titles = {peer.name: peer.title for peer in peers} | {RANDOM: "chance (exact)"}
    block = Block(encoding, q, reference, titles, unplayed, {peer.name: versions[peer.name] for peer in peers})
    for pool in wanted:
        found = {}
        for peer in peers:
            version = versions[peer.name]["version"]
            cell = Cell(pool.name, pool.hash, peer.name, version, peer.encoding(pool, encoding), q)
            if records := cell.records(root):
                found[peer.name] = records
        seeds = tuple(sorted(set.intersection(*(set(records) for records in found.values())))) if found else ()
        block.absent[pool.name] = [peer.name for peer in peers if peer.name not in found]
        if seeds:
            block.scenes[pool.name] = played(pool, seeds, found)
    return block


def played(pool: Pool, seeds: tuple[int, ...], found: dict[str, dict[int, dict[str, Any]]]) -> Played:
    """What the runs of some seeds were worth. found: of each peer the records by seed, all of these seeds among them."""
    scene = Scene.of(pool.utilities, pool.horizon)
    records = {peer: [by_seed[seed] for seed in seeds] for peer, by_seed in found.items()}
    worth = {peer: [scene.played(record) for record in kept] for peer, kept in records.items()}
    worth[RANDOM] = [scene.chance(pool.starts(seed)) for seed in seeds]
    return Played(pool, seeds, records, worth)


def newest(root: Path, pools: Sequence[Pool], peer: Peer, encoding: str, q: int, version: str = "*") -> dict[str, Any]:
    """The version of a peer that was played last on any of the pools: hash, packages, machine, when. {} without a run.

    version: a pattern of the hash, where not just any is meant.
    """
    latest: tuple[float, Path] | None = None
    for pool in pools:
        place = root / f"{pool.name}-{pool.hash}" / f"{peer.encoding(pool, encoding)}-q{q}"
        for file in place.glob(f"{tame(peer.name)}@{version}/*.json"):
            written = file.stat().st_mtime
            if latest is None or written > latest[0]:
                latest = (written, file)
    if latest is None:
        return {}
    record = json.loads(latest[1].read_text())
    told = {"version": record["version"], "packages": record["versions"], "machine": record["machine"]}
    return told | {"at": record["at"]}
