"""Pages of a pull: each is checked before the client sees it, and kept until the pull is whole.

The client adds pages up and believes them. So completeness is decided here: the total must be the same on every page,
every page must hold exactly the rows that are due, and no id may come twice in any spelling. As many different ids as
the service has rows is a whole pull, in whatever order they came.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from discover.candidates.mp_ids import canonical_id
from discover.candidates.mp_session import Fault
from discover.errors import SourceError, SourceIntegrityError
from discover.protocols import Progress

_WINDOW = ("_skip", "_limit")


class PageStore:
    """Finished pages of an unfinished pull, on disk. A page is used again while it is younger than a day."""

    LONGEST_AGE = 86_400.0

    def __init__(self, folder: Path, now: Callable[[], float]):
        self.folder, self._now = folder, now
        self.used = 0

    def get(self, params: Mapping[str, Any]) -> bytes | None:
        """The page of these parameters, if it was finished, is whole and is young enough."""
        path = self._path(params)
        with contextlib.suppress(OSError, ValueError):
            if self._now() - path.stat().st_mtime <= self.LONGEST_AGE:
                digest, body = path.read_bytes().split(b"\n", 1)
                if hashlib.sha256(body).hexdigest().encode() == digest:
                    return body
        return None

    def put(self, params: Mapping[str, Any], body: bytes) -> None:
        """Keep a page. In one step, so that a crash leaves a whole page or none. SourceError if the disk refuses."""
        path = self._path(params)
        new = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            new.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
            new.replace(path)
        except OSError as error:
            way_out = "make room, or let only one pull of this query run at a time"
            raise SourceError(f"a finished page cannot be kept in {self.folder} ({error}): {way_out}") from None

    def clear(self) -> None:
        """Forget all pages, and the folders that are then empty."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()
            self.folder.parent.parent.rmdir()

    def clear_others(self) -> None:
        """Forget pages of the same pull from other versions of the database."""
        for other in self.folder.parent.glob("*"):
            if other != self.folder:
                shutil.rmtree(other, ignore_errors=True)

    def _path(self, params: Mapping[str, Any]) -> Path:
        text = json.dumps({key: str(value) for key, value in params.items()}, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.page"


class PageBook:
    """What the pages of one pull have said so far. Requests that differ in more than their window are counted apart."""

    def __init__(self, progress: Progress | None = None):
        self._progress = progress
        self._totals: dict[str, int] = {}
        self._rows: dict[str, int] = {}
        self._seen: dict[str, str] = {}

    @property
    def rows(self) -> int:
        """Rows accepted."""
        return len(self._seen)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids accepted, in one spelling."""
        return tuple(self._seen)

    def accept(self, params: Mapping[str, Any], body: bytes) -> None:
        """Enter a page. Fault, with nothing entered, if it is not what is due."""
        stream = json.dumps({k: str(v) for k, v in params.items() if k not in _WINDOW}, sort_keys=True)
        skip, limit = int(params.get("_skip") or 0), int(params["_limit"])
        rows, total = _read(body)
        if self._totals.get(stream, total) != total:
            raise _contradiction(f"the total changed from {self._totals[stream]} to {total} rows between pages")
        due = max(0, min(limit, total - skip))
        if len(rows) != due:
            raise _contradiction(_miscount(len(rows), due, skip, limit, total))
        found = self._new_ids(rows)
        self._totals[stream] = total
        self._rows[stream] = self._rows.get(stream, 0) + len(rows)
        self._seen |= found
        if self._progress is not None:
            self._progress(self.rows, sum(self._totals.values()))

    def _new_ids(self, rows: list[Any]) -> dict[str, str]:
        found: dict[str, str] = {}
        for place, row in enumerate(rows):
            spelling = row.get("material_id") if isinstance(row, dict) else None
            if not isinstance(spelling, str):
                raise _contradiction(f"row {place} of a page has no material_id")
            try:
                name = canonical_id(spelling)
            except SourceIntegrityError as error:
                raise _contradiction(str(error)) from None
            before = found.get(name) or self._seen.get(name)
            if before is not None:
                spelt = f"as {before!r} and {spelling!r}" if before != spelling else f"as {spelling!r}"
                raise _contradiction(
                    f"material {name} came twice, {spelt}: a page or a row is repeated, and others are missing"
                )
            found[name] = spelling
        return found

    def check_whole(self, received: int) -> None:
        """SourceIntegrityError unless every row that the service announced has come, and the client returned them all."""
        for stream, total in self._totals.items():
            if self._rows[stream] != total:
                raise SourceIntegrityError(f"{self._rows[stream]} of {total} rows came. Nothing was kept; pull again")
        if received != self.rows:
            raise SourceIntegrityError(
                f"the client returned {received} of {self.rows} rows. Nothing was kept; pull again"
            )


def _contradiction(why: str) -> Fault:
    return Fault(SourceIntegrityError, why, again=True)


def _miscount(count: int, due: int, skip: int, limit: int, total: int) -> str:
    where = f"rows {skip + 1} to {skip + due} of {total} were due"
    if skip == 0 and 0 < count < due:
        return f"{where} and {count} came: if the service caps its pages at {count}, set page_size: {count}"
    return f"{where} and {count or 'none'} came"


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def read_json(body: bytes) -> Any:
    """JSON of an answer. Fault if it is none, or was cut."""
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        start = body[:60].decode("utf-8", "replace")
        raise _contradiction(f"the answer is not JSON, or was cut ({len(body)} bytes, starting {start!r})") from None


def _read(body: bytes) -> tuple[list[Any], int]:
    page = read_json(body)
    if not isinstance(page, dict) or not isinstance(page.get("data"), list):
        raise _contradiction("the answer has no list of rows under 'data'")
    meta = page.get("meta")
    total = meta.get("total_doc") if isinstance(meta, dict) else None
    if isinstance(total, bool) or not isinstance(total, int) or total < 0:
        raise _contradiction(f"the answer does not say how many rows there are (meta.total_doc is {total!r})")
    return page["data"], total
