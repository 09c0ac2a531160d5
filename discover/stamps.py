"""Whether a large file is still the one whose hash was found right, without reading it again.

A stamp is what the file system says of a file: device, inode, size, and when its bytes and its entry last changed. A program
can give any time to a file's bytes, but none to its entry: whatever writes into the file, puts another in its place or turns its
clock back changes the stamp. Two writes within one tick of the file system's clock look alike; so a stamp counts only if it was
noted `TICK` seconds after the file's last change, by that same clock. What decays on the disk itself shows in no stamp:
`discover audit` reads everything. Where entries have no such time (Windows), no stamp counts, and files are read each time.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from discover.drafts import draft_of

TICK = 2.0
"""Seconds: the coarsest clock of a file system in use."""


def stamp_of(path: Path) -> dict[str, int]:
    """What the file system says of a file. OSError if there is none."""
    found = path.stat()
    names = ("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
    return {name: getattr(found, name) for name in names}


def note(path: Path, told: Mapping[str, Any], stamp: Mapping[str, int]) -> None:
    """Write down at `path` what was found of a file, with the stamp that the file had before it was read.

    As a whole or not at all.
    """
    fresh = draft_of(path)
    fresh.parent.mkdir(parents=True, exist_ok=True)
    with fresh.open("w", encoding="utf-8") as file:
        json.dump({**told, "stamp": dict(stamp)}, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def told_of(path: Path) -> dict[str, Any]:
    """What a note says; {} where there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def sound(file: Path, noted: Path, look: Callable[[], bool]) -> bool:
    """Whether a file is what it should be: by the note that was made of it, or else by a look at it, which is then noted."""
    if unchanged(file, noted):
        return True
    try:
        stamp = stamp_of(file)
    except OSError:
        stamp = {}
    if not look():
        return False
    with contextlib.suppress(OSError):  # a folder that cannot be written to costs a look each time
        note(noted, told_of(noted), stamp)
    return True


def unchanged(file: Path, noted: Path) -> bool:
    """Whether a file is as it was when the note at `noted` was made of it."""
    if os.name != "posix":
        return False
    try:
        now, when = stamp_of(file), noted.stat().st_mtime_ns
    except OSError:
        return False
    return told_of(noted).get("stamp") == now and when >= now["st_ctime_ns"] + int(TICK * 1e9)
