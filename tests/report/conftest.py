"""Small real campaigns, run by a function, that the tests of this room report on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, CandidatePool, Objective
from discover.errors import ExperimentFailed

METALS = ("Mg", "Ca", "Sr", "Ba", "Fe", "Co", "Zn", "Cd", "Ce", "Ti")
SIZE = 90


def candidates() -> pd.DataFrame:
    """90 made-up compounds: some magnetic, some with f electrons, every third the same composition as another."""
    generator = np.random.default_rng(7)
    frame = pd.DataFrame(generator.normal(size=(SIZE, 3)).round(3), columns=["volume", "charge", "radius"])
    frame.insert(0, "id", [f"m-{i:03d}" for i in range(SIZE)])
    frame.insert(1, "formula", [f"{METALS[i % len(METALS)]}{2 + i // 30}O{3 + i % 3}" for i in range(SIZE)])
    return frame


def truth(values: Mapping[str, Any]) -> float:
    """Best at small volume; what has a very large radius cannot be measured."""
    if values["radius"] > 1.2:
        raise ExperimentFailed(f"not stable: radius = {values['radius']}")
    return float(100 - 20 * values["volume"] + 5 * np.sin(3 * values["charge"]))


def every_answer() -> pd.DataFrame:
    """What `truth` gives for every candidate, as a frame of answers."""
    frame = candidates()
    records = []
    for record in frame.to_dict("records"):
        try:
            records.append({"id": record["id"], "modulus": truth(record), "status": "measured", "reason": ""})
        except ExperimentFailed as failure:
            records.append({"id": record["id"], "modulus": np.nan, "status": "failed", "reason": str(failure)})
    return pd.DataFrame(records)


@pytest.fixture(scope="session")
def begin(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Campaign]:
    """Begin a campaign in a store of its own."""

    def begun(objective: Objective, frame: pd.DataFrame | None = None, **options: Any) -> Campaign:
        frame = candidates() if frame is None else frame
        features = [c for c in ("volume", "charge", "radius") if c in frame]
        pool = CandidatePool.from_frame(frame, id=str(frame.columns[0]), features=features)
        store = f"sqlite:///{tmp_path_factory.mktemp('store') / 'campaigns.db'}"
        return Campaign.create("made up", objective=objective, candidates=pool, store=store, **options)

    return begun


@pytest.fixture(scope="session")
def campaign(begin: Callable[..., Campaign]) -> Campaign:
    """25 experiments in batches of 5, failures among them; the last 15 chosen by a model. Not to be changed by a test."""
    objective = Objective("modulus", "maximize", unit="GPa")
    started = begin(objective, about="A made-up modulus.", seed=1, budget={"experiments": 25})
    with warnings.catch_warnings(action="ignore"):  # that some of them fail is meant
        started.run(truth, 25, batch=5)
    return started


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what a test writes."""
    return tmp_path_factory.mktemp("reports")
