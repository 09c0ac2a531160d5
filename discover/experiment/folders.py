"""Files that others read while they are written: whole or not there, named safely, dated by their own file system."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def safe_name(text: str) -> str:
    """One name of a file for one text; it can leave no folder and is no option. Ordinary keys stay as they are."""
    if _PLAIN.fullmatch(text):
        return text
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-")[:40] or "x"
    return f"{readable}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def write_whole(path: Path, data: bytes) -> None:
    """The file appears with all of its bytes, on the disk, or not at all. OSError where it cannot be written."""
    draft = path.parent / f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp"
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    finally:
        with suppress(OSError):
            draft.unlink()


def write_json(path: Path, body: Any) -> None:
    """JSON, whole or not at all."""
    text = json.dumps(body, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
    write_whole(path, text.encode("utf-8", "surrogatepass"))


def read_json(path: Path) -> dict[str, Any] | None:
    """The mapping in a file of ours; None where there is no such file or it cannot be read."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return body if isinstance(body, dict) else None


def sync_folder(folder: Path) -> None:
    """Names in the folder survive a loss of power, where the file system can promise it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def now_in(folder: Path) -> float:
    """The time in seconds by the clock of the folder's file system, so that ages of files are right over a network too.

    Writing there also makes a network file system look again what is in the folder.
    """
    probe = folder / f".clock-{os.getpid()}-{threading.get_ident()}.tmp"
    try:
        probe.write_bytes(b"")
        return probe.stat().st_mtime
    finally:
        with suppress(OSError):
            probe.unlink()


def last_change(folder: Path) -> float:
    """When a file of the folder was last written; files that are only ours for a moment do not count."""
    times = [folder.stat().st_ctime] if not any(folder.iterdir()) else []
    for path in folder.iterdir():
        if not path.name.endswith(".tmp"):
            with suppress(OSError):
                times.append(path.stat().st_mtime)
    return max(times, default=0.0)
