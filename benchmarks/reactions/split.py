"""Which tables are for development and which for the test. Drawn once, before any of the new ones was played.

    python benchmarks/reactions/split.py            # prints the split; --write writes split.json

The rule: tables of the efficiency study keep the side they have there, and siblings of theirs join them. The groups of siblings
that are left are ordered by SHA-256 of "0:reactions:group" and fill development until it holds half of them, rounded down; the
rest is the test. Nothing but names enters.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from efficiency import split as efficiency
from efficiency.catalogue import POOLS, REACTIONS, TOYS, entry

FILE = Path(__file__).with_name("split.json")
SETS = ("development", "test", "toy")
TOY = "toy_solvents"
SHARED = (
    "hplc", "photo_pce10", "photo_wf3", "direct_arylation", "suzuki_screen", "suzuki_conditions",
    "buchwald_a", "buchwald_b", "buchwald_c", "buchwald_d", "buchwald_e",
)  # fmt: skip
"""Tables that the efficiency study plays, too."""


def draw() -> dict[str, list[str]]:
    """{"development": names, "test": names}."""
    sides = json.loads(efficiency.FILE.read_text())
    groups = {one.group: side for side in ("development", "test") for one in POOLS if one.name in sides[side]}
    drawn = efficiency.draw(tuple(one for one in REACTIONS if one.group not in groups))
    siblings = [one for one in REACTIONS if one.group in groups]
    return {
        side: [
            *(name for name in SHARED if name in sides[side]),
            *(one.name for one in siblings if groups[one.group] == side),
            *drawn[side],
        ]
        for side in ("development", "test")
    }


def document() -> dict[str, Any]:
    """What split.json holds."""
    return {"rule": " ".join((__doc__ or "").split("The rule: ")[1].split()), **draw()}


def members(which: str) -> list[str]:
    """The tables of a set, as committed. KeyError for an unknown set."""
    if which == "toy":
        return [one.name for one in TOYS if one.name == TOY]
    if which not in SETS:
        raise KeyError(f"no set is called {which!r}; there are {', '.join(SETS)}")
    return [entry(name).name for name in json.loads(FILE.read_text())[which]]


if __name__ == "__main__":
    efficiency.main(document, FILE, __doc__)
