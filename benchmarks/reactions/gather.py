"""From the folder of runs to paired measures of the contenders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from efficiency.gather import Block, newest, played
from efficiency.peers import RANDOM
from efficiency.pool import Pool
from efficiency.runs import Cell

from reactions.contenders import Contender
from reactions.play import Q


def gather(
    root: Path, pools: Sequence[Pool], contenders: Sequence[Contender], reference: str, wanted: Mapping[str, str]
) -> Block:
    """Reads the runs; of each kind of peer those of one version: the one that was played last, or that is wanted.

    wanted: {kind of peer: pattern of the version's hash}.
    """
    latest = _latest(root, pools, contenders, wanted)
    unplayed = tuple(one.title for one in contenders if one.peer.kind.name not in latest)
    contenders = [one for one in contenders if one.peer.kind.name in latest]
    versions = {one.name: latest[one.peer.kind.name] for one in contenders}
    titles = {one.name: one.title for one in contenders} | {RANDOM: "chance (exact)"}
    block = Block("own", Q, reference, titles, unplayed, versions)
    for pool in pools:
        records = {one.name: _records(root, pool, one, versions[one.name]["version"]) for one in contenders}
        records = {name: by_seed for name, by_seed in records.items() if by_seed}
        seeds = tuple(sorted(set.intersection(*(set(by_seed) for by_seed in records.values())))) if records else ()
        block.absent[pool.name] = [one.name for one in contenders if one.name not in records]
        if seeds:
            block.scenes[pool.name] = played(pool, seeds, records)
    return block


def _records(root: Path, pool: Pool, one: Contender, version: str) -> dict[int, dict[str, Any]]:
    peer, encoding = one.at(pool)
    return Cell(pool.name, pool.hash, peer.name, version, encoding, Q).records(root)


def _latest(
    root: Path, pools: Sequence[Pool], contenders: Sequence[Contender], wanted: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """{kind of peer: its version}, of the kinds that have runs."""
    latest: dict[str, dict[str, Any]] = {}
    for one in contenders:
        kind = one.peer.kind.name
        told = [newest(root, [pool], *one.at(pool), Q, wanted.get(kind, "*")) for pool in pools]
        for found in filter(None, [*told, latest.get(kind)]):
            latest[kind] = max(latest.get(kind, found), found, key=lambda version: str(version["at"]))
    return latest
