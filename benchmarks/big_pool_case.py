"""One step of `big_pool.py` in a process of its own: which, whose campaign, with how many observations; prints JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scale_task import BATCH, Clock, Peak, load

from discover.campaign import Campaign
from discover.definition import load as load_definition


def answers(frame: pd.DataFrame) -> list[float]:
    """What would be measured of some candidates: a wave over all of their features."""
    X = frame[[name for name in frame if str(name).startswith("x")]].to_numpy(dtype=float)
    weights = np.random.default_rng(1).normal(size=X.shape[1]) / np.sqrt(X.shape[1])
    return [float(y) for y in np.sin(X @ weights) + 0.05 * np.random.default_rng(2).normal(size=len(X))]


def begin(path: Path, observations: int, found: dict[str, Any]) -> None:
    """Read the file, freeze it, make the features."""
    with Clock() as clock:
        campaign = load_definition(path).open()
    found |= clock.told("begin") | {"candidates": len(campaign.pool)}


def tell(path: Path, observations: int, found: dict[str, Any]) -> None:
    """Open, and tell results of candidates taken at random."""
    campaign = opened(path, found)
    rows = np.sort(np.random.default_rng(3).choice(len(campaign.pool), observations, replace=False))
    with Clock() as clock:
        frame = campaign.pool.frame(rows)
        campaign.tell(frame[["id"]].assign(y=answers(frame)))
    found |= clock.told("tell")


def ask(path: Path, observations: int, found: dict[str, Any]) -> None:
    """Open, and ask; tell that, and ask again."""
    campaign = opened(path, found)
    for name in ("ask", "next"):
        with Clock() as clock:
            batch = campaign.ask(BATCH)
        found |= clock.told(name)
        with Clock() as clock:
            told(campaign, batch)
        found |= clock.told(f"tell_{name}")


def again(path: Path, observations: int, found: dict[str, Any]) -> None:
    """Open, and ask."""
    campaign = opened(path, found)
    with Clock() as clock:
        batch = campaign.ask(BATCH)
    found |= clock.told("again")
    with Clock() as clock:
        told(campaign, batch)
    found |= clock.told("tell_again")


def opened(path: Path, found: dict[str, Any]) -> Campaign:
    """The campaign with its rows and features."""
    with Clock() as clock:
        campaign = load_definition(path).open()
        found["features"] = campaign.features.hash[:12]
    found |= clock.told("open")
    return campaign


def told(campaign: Campaign, batch: pd.DataFrame) -> None:
    """Tell the results of a batch."""
    campaign.tell(batch[["proposal_id"]].assign(y=answers(campaign.pool.frame(campaign.pool.rows(batch["id"])))))


def main() -> None:
    """step, campaign file, observations, threads, cells."""
    step, path, observations, threads, cells = sys.argv[1:]
    import torch

    torch.set_num_threads(int(threads))
    if int(cells):
        from discover import sizes

        sizes.CELLS = int(cells)
    before = load()
    found: dict[str, Any] = {}
    with Peak() as peak:
        {"begin": begin, "tell": tell, "ask": ask, "again": again}[step](Path(path), int(observations), found)
    print(json.dumps(found | {"memory_mb": peak.most, "load": [before, load()]}))


if __name__ == "__main__":
    main()
