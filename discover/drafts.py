"""Files that appear as a whole or not at all: written under a name of their own, and then renamed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path


def draft_of(target: Path) -> Path:
    """Where this thread writes a file before it takes its name: beside it, hidden, and apart from what others write."""
    return target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.new")


def unfinished(folder: Path) -> Iterator[Path]:
    """Drafts in a folder that are being written, or were when their process was killed; in order."""
    if folder.is_dir():
        yield from sorted([*folder.glob(".*.new"), *folder.glob(".rows-*")])
