"""Pages of a pull: each is checked before the client sees it, and kept until the pull is whole.

The client adds pages up and believes them. So completeness is decided here: the total must be the same on every page,
every page must hold exactly the rows that are due, and no id may come twice in any spelling. As many different ids as
the service has rows is a whole pull, in whatever order they came. Whether they are the right ones, a second reading of
the ids alone tells (`Stream.check`): a total that is too small and a row that moved between pages show only there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from discover.candidates.materials.mp_ids import canonical_id
from discover.candidates.sources.materials_project.session import Fault
from discover.errors import SourceError, SourceIntegrityError
from discover.values import Progress

_WINDOW = ("_skip", "_limit")
LARGEST_PAGE = 1000


class RowsMoved(SourceIntegrityError):
    """The service tells other ids than its pages held: rows moved between pages, or its total is wrong."""


@dataclass
class Stream:
    """Pages that differ in nothing but their window: what was asked, how many rows there are, and the ids that came."""

    params: dict[str, Any]
    total: int
    ids: set[str] = field(default_factory=set)

    def check(self, ask: Callable[[Mapping[str, Any]], tuple[list[str], int]]) -> None:
        """Read the ids anew, and one row past the last. RowsMoved unless they are those that came, and no more.

        ask: ids of a page, and the total that it states. A page may be shorter than asked for.
        """
        found: list[str] = []
        while len(found) < self.total:
            names, total = ask(self._window(len(found), LARGEST_PAGE))
            if total != self.total:
                raise _moved(f"the total changed from {self.total} to {total} rows")
            if not names:
                raise _moved(f"of {self.total} rows only {len(found)} have an id")
            found += names
        if len(found) != len(self.ids) or set(found) != self.ids:
            raise _moved(_difference(self.ids, found))
        beyond, _ = ask(self._window(self.total, 1))
        if beyond:
            raise _moved(f"after the last of {self.total} rows comes {beyond[0]}: the total is too small")

    def _window(self, skip: int, limit: int) -> dict[str, Any]:
        return {**self.params, "_fields": "material_id", "_skip": skip, "_limit": limit}


def _moved(why: str) -> RowsMoved:
    return RowsMoved(f"the ids were read once more after the last page, and {why}. Nothing was kept; pull again")


def _difference(kept: set[str], found: list[str]) -> str:
    lost, gone = sorted(set(found) - kept), sorted(kept.difference(found))
    if not lost and not gone:
        return f"{len(found)} rows have {len(kept)} ids"
    told = [f"{', '.join(names[:5])} {what}" for names, what in ((lost, "had not come"), (gone, "are gone")) if names]
    return " and ".join(told)


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
        self.streams: dict[str, Stream] = {}
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
        asked = {k: v for k, v in params.items() if k not in _WINDOW}
        name = json.dumps({k: str(v) for k, v in asked.items()}, sort_keys=True)
        skip, limit = int(params.get("_skip") or 0), int(params["_limit"])
        rows, total = _read(body)
        stream = self.streams.get(name) or Stream(asked, total)
        if stream.total != total:
            raise _contradiction(f"the total changed from {stream.total} to {total} rows between pages")
        due = max(0, min(limit, total - skip))
        if len(rows) != due:
            raise _contradiction(_miscount(len(rows), due, skip, limit, total))
        found = self._new_ids(rows)
        self.streams[name] = stream
        stream.ids |= found.keys()
        self._seen |= found
        if self._progress is not None:
            self._progress(self.rows, sum(stream.total for stream in self.streams.values()))

    def _new_ids(self, rows: list[Any]) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, spelling in _ids(rows):
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
        for stream in self.streams.values():
            if len(stream.ids) != stream.total:
                told = f"{len(stream.ids)} of {stream.total} rows came"
                raise SourceIntegrityError(f"{told}. Nothing was kept; pull again")
        if received != self.rows:
            raise SourceIntegrityError(
                f"the client returned {received} of {self.rows} rows. Nothing was kept; pull again"
            )


def read_ids(body: bytes) -> tuple[list[str], int]:
    """Ids of a page in one spelling, and the total that it states. Fault if it is no page."""
    rows, total = _read(body)
    return [name for name, _ in _ids(rows)], total


def _ids(rows: list[Any]) -> Iterator[tuple[str, str]]:
    """Each row's id: in one spelling, and as it came."""
    for place, row in enumerate(rows):
        spelling = row.get("material_id") if isinstance(row, dict) else None
        if not isinstance(spelling, str):
            raise _contradiction(f"row {place} of a page has no material_id")
        try:
            name = canonical_id(spelling)
        except SourceIntegrityError as error:
            raise _contradiction(str(error)) from None
        yield name, spelling


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
