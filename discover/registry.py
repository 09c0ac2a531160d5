"""Kinds by name: what `kind:` in a campaign file means.

Every kind, ours and a third party's, is declared as an entry point in one of the groups below, and loaded when used.
A kind is a frozen dataclass whose fields are its options.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from discover.errors import UnknownKind, nearest

GROUPS = ("discover.sources", "discover.features", "discover.policies", "discover.experiments", "discover.runners")


def kinds(group: str) -> tuple[str, ...]:
    """Names that installed packages offer in a group."""
    return tuple(sorted({entry.name for entry in entry_points(group=group)}))


def load(group: str, kind: str) -> Any:
    """The class registered under `kind`. UnknownKind names the nearest one."""
    for entry in entry_points(group=group):
        if entry.name == kind:
            return entry.load()
    noun = group.split(".")[-1]
    raise UnknownKind(f"no {noun} of kind {kind!r} is installed ({nearest(kind, kinds(group))})")
