"""Finished calculations, kept by what decides their numbers: one file an entry, written in one step.

An entry that cannot be read, or whose content does not match its own hash, is no entry: the calculation is repeated and
the reason is told.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT = "discover-calculation/1"


def canonical_json(body: Any) -> str:
    """One spelling for equal JSON values; ValueError for NaN and infinities."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(body: Any) -> str:
    """SHA-256 (64 hex digits) of a JSON value."""
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()


@dataclass(frozen=True)
class Entry:
    """What was found: `body` is None where there is none, and `problem` says why a file that exists is not used."""

    body: Mapping[str, Any] | None = None
    problem: str = ""


@dataclass(frozen=True)
class CalculationCache:
    """A folder of entries; without a folder it remembers nothing."""

    folder: Path | None = None

    def path(self, key: Mapping[str, Any]) -> Path | None:
        """The file of a key."""
        return None if self.folder is None else self.folder / f"{digest(key)}.json"

    def get(self, key: Mapping[str, Any]) -> Entry:
        """The entry of a key."""
        path = self.path(key)
        if path is None:
            return Entry()
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Entry()
        except (OSError, ValueError) as error:
            return Entry(problem=f"the cached calculation could not be read ({type(error).__name__}) and was repeated")
        whole = (
            isinstance(held, dict)
            and held.get("format") == FORMAT
            and held.get("key") == key
            and isinstance(held.get("body"), dict)
            and held.get("sha256") == digest(held["body"])
        )
        if not whole:
            return Entry(problem="the cached calculation did not match its hash and was repeated")
        return Entry(body=held["body"])

    def put(self, key: Mapping[str, Any], body: Mapping[str, Any]) -> str:
        """Keep an entry. Returns "" or why it could not be kept: a full disk must not cost the number itself."""
        path = self.path(key)
        if path is None:
            return ""
        text = canonical_json({"format": FORMAT, "key": key, "body": body, "sha256": digest(body)})
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:12]}.", suffix=".new")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            return f"the calculation could not be cached: {error.strerror or error}"
        return ""
