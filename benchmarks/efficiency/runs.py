"""One run: a peer plays a pool with a seed. And its record, one small JSON that is written when the run has ended."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from efficiency.peers import HERE, Peer
from efficiency.pool import Pool
from efficiency.talk import Conversation, Failed, TooLate

RUNS = HERE / ".runs"
RULES = 1
"""Of the game as `play` plays it; another number makes every run anew."""


@dataclass(frozen=True)
class Cell:
    """Where a run belongs, but for its seed. version: of the peer; encoding: as it is played."""

    pool: str
    pool_hash: str
    peer: str
    version: str
    encoding: str
    q: int

    def folder(self, root: Path) -> Path:
        """Where its runs lie."""
        place = f"{self.pool}-{self.pool_hash}/{self.encoding}-q{self.q}"
        return root / place / f"{tame(self.peer)}@{self.version}"

    def path(self, root: Path, seed: int) -> Path:
        """The run of one seed."""
        return self.folder(root) / f"{seed:04d}.json"

    def records(self, root: Path) -> dict[int, dict[str, Any]]:
        """The runs that are there, by seed."""
        files = sorted(self.folder(root).glob("*.json"))
        return {int(file.stem): json.loads(file.read_text()) for file in files}


def tame(name: str) -> str:
    """A peer's name as a folder's."""
    return "".join(c if c.isalnum() or c in "-_.=," else "+" for c in name)


def version_of(talk: Conversation) -> str:
    """Twelve hexadecimal digits over the versions that a peer told, its driver and the rules of the game."""
    told = json.dumps([RULES, talk.source, talk.about["versions"]], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def play(
    pool: Pool, peer: Peer, talk: Conversation, cell: Cell, seed: int, *, folder: Path, limit: float
) -> dict[str, Any]:
    """The record of one run; status `done`, `failed` or `late`, with what was found until then.

    limit: seconds of the whole run, the peer's preparation included.
    """
    starts = pool.starts(seed).tolist()
    told = (pool.sign * pool.answers(seed)).tolist()
    rows: list[int] = list(starts)
    fresh = starts
    seconds: list[float] = []
    cpu: list[float] = []
    status, error, begin, peak = "done", "", None, None
    clock = time.monotonic()
    try:
        task = {"folder": str(folder), "encoding": cell.encoding, "q": cell.q, "seed": seed, "options": peer.options}
        answer = talk.ask({"do": "begin", **task}, clock + limit)
        begin = {"seconds": round(answer["seconds"], 4), "cpu": round(answer["cpu"], 4)}
        while len(rows) < pool.horizon:
            n = min(cell.q, pool.horizon - len(rows))
            message = {"do": "step", "rows": fresh, "values": [told[row] for row in fresh], "ask": n}
            answer = talk.ask(message, clock + limit)
            seconds.append(round(answer["seconds"], 4))
            cpu.append(round(answer["cpu"], 4))
            peak = answer["peak_mb"]
            fresh = _checked(answer["rows"], rows, n, len(pool))
            rows += fresh
    except Failed as failure:
        status, error = "failed", str(failure)
    except TooLate:
        status, error = "late", f"no end after {limit:.0f} s"
    return {
        "pool": pool.name, "pool_hash": pool.hash, "peer": peer.name, "version": cell.version,
        "versions": talk.about["versions"], "q": cell.q, "seed": seed, "encoding": cell.encoding,
        "status": status, "error": error, "starts": len(starts), "horizon": pool.horizon, "rows": rows,
        "ids": [pool.ids[row] for row in rows], "told": [pool.sign * told[row] for row in rows],
        "seconds": seconds, "cpu": cpu, "begin": begin, "whole": round(time.monotonic() - clock, 3), "limit": limit,
        "peak_mb": peak and round(peak, 1), "machine": machine(), "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }  # fmt: skip


def _checked(rows: list[int], tried: list[int], n: int, size: int) -> list[int]:
    if len(rows) != n:
        raise Failed(f"broke the rules: {n} rows were asked for, {len(rows)} came")
    if len(set(rows)) < n or set(rows) & set(tried) or not all(0 <= row < size for row in rows):
        raise Failed(f"broke the rules: rows {rows} are not {n} different free ones")
    return rows


def cost(record: dict[str, Any]) -> float:
    """Processor seconds of a run; of one that was ended, the seconds until then."""
    if record["status"] != "done":
        return float(record["whole"])
    return float(record["begin"]["cpu"] + sum(record["cpu"]))


def write(record: dict[str, Any], path: Path) -> None:
    """Whole or not at all; two studies may write side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".part{os.getpid()}")
    part.write_text(json.dumps(record))
    part.replace(path)


def machine() -> dict[str, Any]:
    """What the seconds were measured on, and how busy it was."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "load": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    names: Iterator[str] = iter(())
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
