"""The peers by name: where their driver is, which interpreter runs it, and for which columns they have an encoding of their own."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from efficiency.pool import Pool

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE / ".envs"
RANDOM = "random"
"""Chance is calculated, not played: see `measures`."""


@dataclass(frozen=True)
class Kind:
    """What is known of a peer. title: for tables. own: kinds of columns it encodes itself. shared: runs in this environment."""

    name: str
    title: str
    own: frozenset[str] = frozenset()
    shared: bool = False

    @property
    def folder(self) -> Path:
        """Its driver and its pinned requirements."""
        return HERE / "peers" / self.name

    @property
    def python(self) -> Path:
        """The interpreter that runs its driver."""
        return Path(sys.executable) if self.shared else ENVIRONMENTS / self.name / "bin" / "python"


KINDS = (
    Kind("ours", "ours", frozenset({"formula", "structure", "smiles", "described"}), shared=True),
    Kind("botorch", "BoTorch by hand", shared=True),
    Kind("baybe", "BayBE", frozenset({"smiles", "described"})),
    Kind("physbo", "PHYSBO"),
    Kind("optuna", "Optuna TPE", frozenset({"smiles", "category"})),
    Kind("forest", "random forest + LCB"),
)


@dataclass(frozen=True)
class Peer:
    """A kind with settings: `ours`, or `ours:kernel=rbf,lengths=one`, which is a peer of its own."""

    kind: Kind
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As it was asked for, options in alphabetical order."""
        told = ",".join(f"{key}={value}" for key, value in sorted(self.options.items()))
        return self.kind.name + (f":{told}" if told else "")

    @property
    def title(self) -> str:
        """For tables."""
        return self.kind.title + (self.name.removeprefix(self.kind.name) if self.options else "")

    def encoding(self, pool: Pool, asked: str) -> str:
        """`same` where it has no encoding of its own for what this pool carries: that run is then not made twice."""
        carried = {c.kind for c in pool.columns} | {"described" for c in pool.columns if c.descriptors}
        return asked if self.kind.own & carried else "same"


def parse(text: str) -> Peer:
    """From `name` or `name:key=value,key=value`; values are numbers where they read as such. KeyError for an unknown name."""
    name, _, rest = text.partition(":")
    known = {kind.name: kind for kind in KINDS}
    if name not in known:
        raise KeyError(f"no peer is called {name!r}; there are {', '.join(known)}, and {RANDOM}, which needs no run")
    pairs = [part.partition("=") for part in rest.split(",") if part]
    return Peer(known[name], {key: _value(value) for key, _, value in pairs})


def split(text: str) -> list[str]:
    """Names in a list that commas part: `botorch,ours:kernel=rbf,lengths=one` are two."""
    found: list[str] = []
    for part in text.split(","):
        if "=" in part and ":" not in part and found:
            found[-1] += f",{part}"
        else:
            found.append(part)
    return [name for name in found if name]


def _value(text: str) -> Any:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text
