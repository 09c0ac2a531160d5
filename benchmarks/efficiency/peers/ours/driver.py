"""This library: its Bayesian policy with its defaults, or with the policy settings that the peer's name carries.

    ours                          the defaults
    ours:kernel=rbf,lengths=one   another setting of the policy, a peer of its own

    ours:molecules=substances     SMILES as the library's substances, whatever descriptors the table carries

On its own encoding the features are what the library makes of the raw columns: `composition`, `structure`, one-hot
categories, or their descriptors where the table carries them. `molecules` says what becomes of SMILES: the published
descriptors (`published`, or one-hot where there are none), or substances (`substances`: the library's own descriptors,
names and fingerprints side by side).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from speaking import Table, serve

import discover
import discover.policy.bayesian.batch  # what a first proposal would import
from discover import registry
from discover.backtest.answers import Answers
from discover.backtest.loop import Retrospective, view_of
from discover.candidates.pool.pool import CandidatePool
from discover.features.build import feature_table
from discover.objective import Objective
from discover.values import FeatureTable

ROOMS = (
    "acquisition", "candidates", "features", "policy", "surrogate",
    "descriptors.py", "filling.py", "limits.py", "objective.py", "pareto.py", "protocols.py", "values.py",
)  # fmt: skip


class Ours:
    """A campaign in memory, fed as a stored one is: through a `View`."""

    features: dict[tuple[str, ...], Any] = {}  # noqa: RUF012  one process plays many runs on a pool

    def begin(self, table: Table, encoding: str, q: int, seed: int, options: dict[str, Any]) -> None:
        self.seed, self.iteration = seed, 0
        self.rows = np.empty(0, dtype=np.int64)
        self.memory: Mapping[str, Any] = {}
        settings = dict(options)
        molecules = settings.pop("molecules", "published")
        self.policy = registry.configure(registry.POLICIES, {"kind": "bayesian", **settings})
        objective = Objective("utility", "maximize")
        size = len(table.ids)
        blank = np.full(size, np.nan)
        status = np.full(size, "measured", dtype="<U10")
        # Answers come in as they are told; nobody can look one up before.
        self.answers = Answers(
            objective.targets[0], blank, blank.copy(), np.zeros(size, dtype=np.int64), status, np.full(size, "")
        )
        key = (str(table.folder), encoding, molecules)
        if key not in self.features:
            self.features[key] = _features(table, encoding, molecules)
        self.table = Retrospective(objective, np.array(table.ids), self.features[key], self.answers)

    def step(self, rows: Sequence[int], values: Sequence[float], n: int) -> list[int]:
        self.answers.values[list(rows)] = values
        self.rows = np.concatenate([self.rows, np.array(rows, dtype=np.int64)])
        view = view_of(self.table, self.rows, self.iteration, self.memory)
        batch = self.policy.propose(view, n, np.random.default_rng([self.seed, self.iteration]))
        self.memory = batch.learned.get("memory", {})
        self.iteration += 1
        place = {name: row for row, name in enumerate(self.table.ids.tolist())}
        return [place[proposal.candidate_id] for proposal in batch]


def _features(table: Table, encoding: str, molecules: str) -> Any:
    if encoding == "same":
        return FeatureTable(tuple(table.names), table.common(), table.folder.name)
    return feature_table(_pool(table, molecules), table.folder / "features")


def _pool(table: Table, molecules: str) -> Any:
    frame = pd.DataFrame({column["name"]: column["cells"] for column in table.columns})
    frame.insert(0, "candidate", table.ids)
    names: dict[str, list[str]] = {}
    for column in table.columns:
        names.setdefault(column["kind"], []).append(column["name"])
    published = [
        c for c in table.columns if c["descriptors"] and not (c["kind"] == "smiles" and molecules == "substances")
    ]
    described = {c["name"]: c["descriptors"] for c in published}
    smiles = [c for c in table.columns if c["kind"] == "smiles" and molecules == "substances"]
    return CandidatePool.from_frame(
        frame,
        id="candidate",
        features=names.get("number", []),
        categorical=[*names.get("category", []), *names.get("smiles", [])],
        descriptors=described or None,
        substances={c["name"]: {cell: cell for cell in c["cells"]} for c in smiles} or None,
        composition=names.get("formula", [None])[0],
        structure=names.get("structure", [None])[0],
    )


def _source() -> dict[str, str]:
    """A hash over the rooms that decide: a change there is another version, and is run again."""
    root = Path(discover.__file__).parent
    digest = hashlib.sha256()
    for room in ROOMS:
        for file in sorted((root / room).rglob("*.py")) if (root / room).is_dir() else [root / room]:
            digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return {"discover": digest.hexdigest()[:12]}


if __name__ == "__main__":
    serve(Ours, ("discover-loop", "torch", "botorch", "gpytorch", "numpy"), _source)
