"""A pool: candidates whose answers are all known, as peers are given them and as they are measured."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from efficiency.catalogue import Entry

if TYPE_CHECKING:
    from discover.values import FloatArray, IntArray

STARTS = 10
Kind = Literal["number", "formula", "structure", "smiles", "category"]


@dataclass(frozen=True)
class Column:
    """One raw column [N]. descriptors: of the categories, {category: {descriptor: value}}."""

    name: str
    kind: Kind
    cells: tuple[Any, ...]
    descriptors: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pool:
    """N candidates. truth: [N] in the target's unit. told: replicates of each. common: [N, d], the one encoding."""

    entry: Entry
    ids: tuple[str, ...]
    columns: tuple[Column, ...]
    target: str
    direction: Literal["maximize", "minimize"]
    truth: FloatArray
    told: tuple[tuple[float, ...], ...]
    names: tuple[str, ...]
    common: FloatArray
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def name(self) -> str:
        """Its name in the catalogue."""
        return self.entry.name

    @property
    def sign(self) -> float:
        """Peers always maximise: what they are told is this times the value."""
        return 1.0 if self.direction == "maximize" else -1.0

    @property
    def raw(self) -> bool:
        """Whether there is more than the common encoding: formulas, structures, molecules, categories."""
        return any(c.kind != "number" for c in self.columns)

    @property
    def horizon(self) -> int:
        """Experiments in a run, starts included: the smaller of 100 and a quarter of the pool."""
        return min(100, len(self) // 4)

    @functools.cached_property
    def utilities(self) -> FloatArray:
        """[N] truth, larger is better."""
        return self.sign * self.truth

    @functools.cached_property
    def hash(self) -> str:
        """Over all that a run can depend on."""
        digest = hashlib.sha256()
        columns = [[c.name, c.kind, c.cells, c.descriptors] for c in self.columns]
        body = [self.name, self.target, self.direction, self.ids, self.told, self.names, columns]
        digest.update(json.dumps(body, sort_keys=True, default=str).encode())
        digest.update(np.ascontiguousarray(self.common).tobytes() + self.truth.tobytes())
        return digest.hexdigest()[:16]

    def starts(self, seed: int) -> IntArray:
        """The rows of the first ten experiments, the same for every peer."""
        count = min(STARTS, self.horizon)
        return np.sort(_generator(self.name, seed, "starts").choice(len(self), count, replace=False)).astype(np.int64)

    def answers(self, seed: int) -> FloatArray:
        """[N] what each candidate's experiment tells in the run of this seed: its value, or one of its replicates."""
        generator = _generator(self.name, seed, "replicates")
        return np.array([values[int(generator.integers(len(values)))] for values in self.told])

    def write(self, root: Path) -> Path:
        """The folder that peers read, made if need be: about.json, common.npy. No truth is in it."""
        folder = root / f"{self.name}-{self.hash}"
        if not (folder / "about.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / "common.npy", self.common)
            columns = [
                {"name": c.name, "kind": c.kind, "cells": c.cells, "descriptors": c.descriptors} for c in self.columns
            ]
            about = {"name": self.name, "ids": self.ids, "names": self.names, "raw": self.raw, "columns": columns}
            waiting = folder / f"about.json.part{os.getpid()}"
            waiting.write_text(json.dumps(about))
            waiting.replace(folder / "about.json")
        return folder


def _generator(name: str, seed: int, what: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{name}\0{seed}\0{what}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
