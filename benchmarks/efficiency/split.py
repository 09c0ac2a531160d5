"""Draws the pools for development and for the test, and writes split.json. It was run once, before any pool was.

    python benchmarks/efficiency/split.py            # prints the split; --write writes the file

The rule: within each family the groups of siblings are the units. Groups on whose kind of table the library's earlier
defaults were chosen are development. The other groups are ordered by SHA-256 of "seed:family:group", and fill development
until it holds half of the family's groups, rounded down; the rest is the test. Nothing but names enters.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from efficiency.catalogue import FAMILIES, POOLS, TOYS, Entry, entry

SEED = 0
FILE = Path(__file__).with_name("split.json")
SETS = ("development", "test", "toy")


def draw(entries: tuple[Entry, ...] = POOLS, seed: int = SEED) -> dict[str, list[str]]:
    """{"development": names, "test": names}, each in the order of the catalogue."""
    chosen: set[str] = set()
    for family in FAMILIES:
        groups = {e.group for e in entries if e.family == family}
        seen = {e.group for e in entries if e.family == family and e.seen}
        free = sorted(groups - seen, key=lambda group: hashlib.sha256(f"{seed}:{family}:{group}".encode()).digest())
        chosen |= seen | set(free[: max(0, len(groups) // 2 - len(seen))])
    return {
        "development": [e.name for e in entries if e.group in chosen],
        "test": [e.name for e in entries if e.group not in chosen],
    }


def document() -> dict[str, Any]:
    """What split.json holds."""
    rule = " ".join((__doc__ or "").split("The rule: ")[1].split())
    return {"seed": SEED, "rule": rule, "seen": sorted({e.group for e in POOLS if e.seen}), **draw()}


def members(which: str) -> tuple[Entry, ...]:
    """The pools of a set, as committed. KeyError for an unknown set."""
    if which == "toy":
        return TOYS
    if which not in SETS:
        raise KeyError(f"no set is called {which!r}; there are {', '.join(SETS)}")
    return tuple(entry(name) for name in json.loads(FILE.read_text())[which])


def main(document: Callable[[], dict[str, Any]] = document, file: Path = FILE, about: str | None = __doc__) -> None:
    """Print, or write. document, file, about: what the file holds, where, and the help, of another study's split."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--write", action="store_true", help=f"write {file.name}; refused where it is there and differs"
    )
    text = json.dumps(document(), indent=1) + "\n"
    if parser.parse_args().write:
        if file.exists() and file.read_text() != text:
            sys.exit(f"{file.name} is there and differs: a split is drawn once")
        file.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
