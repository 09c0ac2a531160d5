"""Candidates from the Materials Project, by its own client. One promise: complete, or a loud error.

Never a partial or doubled pool, and never an unbounded wait. The client (mp-api, unmodified, dict mode) asks for pages
through a session of ours, which bounds every exchange (`session`), checks every page and keeps it for a resume
(`pages`). After the last page the ids are read once more and must be the same. The database's version is read before
and after: a pull that straddles a release is discarded.

Data: Jain et al., APL Materials 1, 011002 (2013), doi:10.1063/1.4812323, CC-BY 4.0. Rows under BY-NC (GNoME) are left
out unless `include_gnome` is set.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discover.candidates.snapshots.place import Place
from discover.candidates.sources.materials_project.request import Request, check_filtered
from discover.candidates.sources.query import matches, unreadable
from discover.errors import (
    IntegrityError,
    InvalidInput,
    Problem,
    SourceError,
    SourceIntegrityError,
    SourceKeyError,
    SourceQueryError,
    SourceUnavailable,
    Unsupported,
)
from discover.kinds import typed

if TYPE_CHECKING:
    import pandas as pd

    from discover.candidates.snapshots.snapshot import Snapshot
    from discover.candidates.sources.materials_project.fetch import Pages
    from discover.candidates.sources.materials_project.session import Runtime
    from discover.values import Progress

KIND = "materials-project"
ENDPOINT = "https://api.materialsproject.org/"
CITATION = "Jain et al., APL Materials 1, 011002 (2013), doi:10.1063/1.4812323"
LICENCE_OF_DATA = "CC-BY 4.0"
_KEY_LENGTH = 32


class OlderSnapshot(UserWarning):
    """A pull was not possible, and the newest snapshot is used instead. `cause` says why, `snapshot` is what is used."""

    def __init__(self, snapshot: Snapshot, cause: SourceError):
        self.snapshot, self.cause = snapshot, cause
        when, database = snapshot.manifest.get("retrieved_at"), snapshot.manifest.get("database_version")
        super().__init__(f"candidates are those of {when} (database version {database}), not pulled now: {cause}")


@dataclass(frozen=True)
@typed
class MaterialsProject:
    """Materials by a query in the client's search words, such as `{band_gap: [0.5, null], elements: [O]}`.

    fields: columns beyond the formula, as the service names them, whole (`symmetry`) or in part (`symmetry.number`);
    `structure` brings the crystal structures. endpoint: another address (default MP_API_ENDPOINT, or the service's own).
    time_limit: seconds for the whole pull. page_time_limit: seconds for one attempt at a page. longest_wait: seconds
    that the service may ask us to pause. The key comes from MP_API_KEY or PMG_MAPI_KEY and is kept nowhere.
    """

    query: dict[str, Any]
    fields: tuple[str, ...] = ()
    endpoint: str | None = None
    include_gnome: bool = False
    page_size: int = 1000
    time_limit: float = 1800.0
    page_time_limit: float = 120.0
    attempts: int = 5
    longest_wait: float = 300.0
    files: Path | None = field(default=None, repr=False, metadata={"internal": True})
    place: Place | None = field(default=None, repr=False, metadata={"internal": True})
    runtime: Any = field(default=None, repr=False, compare=False, metadata={"internal": True})

    def __post_init__(self) -> None:
        problems = [
            Problem("must be positive", column=name, value=getattr(self, name))
            for name in ("page_size", "time_limit", "page_time_limit", "attempts")
            if not getattr(self, name) > 0
        ]
        if not self.longest_wait >= 0:
            problems.append(Problem("must not be negative", column="longest_wait", value=self.longest_wait))
        if self.page_size > 1000:
            problems.append(
                Problem("the service gives at most 1000 rows a page", column="page_size", value=self.page_size)
            )
        if problems:
            raise InvalidInput("materials-project", problems)
        check_filtered(self.query)

    def located(self, base: Path, files: Path) -> MaterialsProject:
        """The same source; snapshots are kept under `files / "snapshots"`."""
        return replace(self, files=Path(files))

    def placed(self, place: Place) -> MaterialsProject:
        """The same source; snapshots are kept in a place of their own, pages of an unfinished pull under `files`."""
        return replace(self, place=place)

    def check(self, fields: Sequence[str] = ()) -> None:
        """InvalidQuery for every word and field that the installed client does not know. Needs no key and no network."""
        self._request(fields)

    def newest(self, fields: Sequence[str] = ()) -> Snapshot | None:
        """The newest snapshot of this query and these fields, of whatever database version."""
        return self._newest(self._request(fields))

    def pull(self, fields: Sequence[str] = (), *, refresh: bool = False, progress: Progress | None = None) -> Snapshot:
        """All rows of the query, once each, as a snapshot; or SourceError (key, query, unavailable, integrity).

        The same query of the same database version is served from its snapshot unless `refresh`. Without a key, or if
        the service cannot be reached, the newest snapshot of the query is returned with an `OlderSnapshot` warning;
        with `refresh` or without such a snapshot this is an error. fields: columns needed beyond those configured.
        """
        try:
            return self.latest(fields, refresh=refresh, progress=progress)
        except (SourceUnavailable, MissingKey) as error:
            older = None if refresh else self.newest(fields)
            if older is None:
                raise
            warnings.warn(OlderSnapshot(older, error), stacklevel=2)
            return older

    def latest(
        self, fields: Sequence[str] = (), *, refresh: bool = False, progress: Progress | None = None
    ) -> Snapshot:
        """What the service has now, as `pull`, but never an older snapshot. SourceError where it cannot be reached."""
        request = self._request(fields)
        key = None
        try:
            key = find_key()
            return self._pull(request, key, refresh, progress)
        except InvalidInput:
            raise
        except SourceError as error:
            raise _without_key(error, key) from None

    def _request(self, fields: Sequence[str]) -> Request:
        from discover.candidates.sources.materials_project.session import checked_endpoint

        endpoint = checked_endpoint(self.endpoint or os.environ.get("MP_API_ENDPOINT") or ENDPOINT)
        columns = list(dict.fromkeys([*self.fields, *fields]))
        return Request.of(self.query, columns, endpoint, include_gnome=self.include_gnome)

    @property
    def _folder(self) -> Path:
        if self.files is None:
            raise Unsupported("a source keeps snapshots: say where with located(base, files)")
        return self.files / "snapshots"

    @property
    def _place(self) -> Place:
        return self.place or Place(self._folder)

    def _newest(self, request: Request, **match: Any) -> Snapshot | None:
        """The newest whole snapshot of a request; a damaged one is as good as none, for it can be pulled again."""
        from discover.candidates.snapshots.snapshot import Snapshot

        snapshot = Snapshot.newest(self._place, {"kind": KIND, "request": request.hash, **match})
        if snapshot is not None:
            snapshot.verify()
        return snapshot

    def _pull(self, request: Request, key: str, refresh: bool, progress: Progress | None) -> Snapshot:
        from discover.candidates.sources.materials_project.fetch import Service
        from discover.candidates.sources.materials_project.session import Limits, Runtime

        runtime: Runtime = self.runtime or Runtime()
        limits = Limits(self.time_limit, self.page_time_limit, self.attempts, self.longest_wait)
        service = Service(request.endpoint, key, limits, runtime)
        try:
            return self._rounds(service, request, refresh, progress)
        finally:
            service.close()

    def _rounds(self, service: Any, request: Request, refresh: bool, progress: Progress | None) -> Snapshot:
        """Pull; and once more from the beginning if moved rows, pages of an earlier run or a new release explain a contradiction."""
        from discover.candidates.sources.materials_project.pages import RowsMoved

        for last in (False, True):
            before = service.database_version()
            if not refresh and (kept := self._kept(request, before)) is not None:
                return kept
            pages = service.pages(self._folder / ".unfinished" / request.hash[:32], before, progress)
            try:
                documents = service.documents(request, self.page_size, pages)
                after = service.database_version()
                if after != before:
                    told = f"the database changed from version {before} to {after} during the pull"
                    raise SourceIntegrityError(f"{told}; nothing was kept. Pull again when the release is complete")
                snapshot = self._freeze(documents, request, before, service, pages)
            except SourceQueryError:
                pages.forget()
                raise
            except SourceIntegrityError as error:
                pages.forget()
                if last or not (isinstance(error, RowsMoved) or pages.resumed or service.changed_since(before)):
                    raise
                continue
            pages.forget()
            return snapshot
        raise AssertionError("the last round returns or raises")

    def _kept(self, request: Request, database: str) -> Snapshot | None:
        try:
            return self._newest(request, database_version=database)
        except IntegrityError:
            return None

    def _freeze(
        self, documents: Sequence[Mapping[str, Any]], request: Request, database: str, service: Any, pages: Pages
    ) -> Snapshot:
        """Documents to rows, judged once more on this machine, to a snapshot."""
        from discover.candidates.snapshots.snapshot import Snapshot
        from discover.candidates.sources.materials_project.rows import ID, LICENCE, rows_of

        frame, account = rows_of(documents, request.columns, request.judged, needs_licence=not self.include_gnome)
        missing = sorted(request.ids_alone.difference(frame[ID]))
        if missing:
            told = (
                f"{len(missing)} of the ids asked for are not in database version {database}: {', '.join(missing[:10])}"
            )
            raise SourceQueryError(f"{told}. Leave them out, or set deprecated: true if they were withdrawn")
        _check_readable(frame, request)
        fits = matches(frame, request.query)
        closed = frame[LICENCE].astype(object).map(_non_commercial).to_numpy(dtype=bool) & (not self.include_gnome)
        kept = frame[fits & ~closed].reset_index(drop=True)
        left_out = {"query": int((~fits).sum()), "licence": int((fits & closed).sum())}
        if kept.empty:
            told = f"no material fits the query (rows served: {len(frame)}, left out: {left_out})"
            raise SourceQueryError(f"{told}. Widen the query")
        provenance = {
            "kind": KIND,
            "source": "Materials Project",
            "request": request.hash,
            "query": dict(request.query),
            "fields": list(request.columns),
            "include_gnome": self.include_gnome,
            "endpoint": request.endpoint,
            "database_version": database,
            "client": {name: version(name) for name in ("mp-api", "emmet-core")},
            "rows_served": len(frame),
            "left_out": left_out,
            "licences": _counts(kept[LICENCE]),
            "absent": dict(account.absent),
            "null": dict(account.null),
            "pages": {"asked": pages.asked, "resumed": pages.resumed},
            "licence": LICENCE_OF_DATA if not self.include_gnome else f"{LICENCE_OF_DATA}; rows of GNoME CC BY-NC 4.0",
            "citation": CITATION,
            "retrieved_at": service.now().isoformat(timespec="microseconds"),
        }
        try:
            structure = "structure" if "structure" in kept else None
            return Snapshot.write(kept, self._place, id=ID, provenance=provenance, structure=structure)
        except InvalidInput as error:
            raise SourceIntegrityError(f"the documents make no table: {error}") from error


def _check_readable(frame: pd.DataFrame, request: Request) -> None:
    """SourceIntegrityError for values by which the query would judge a row and that are no such values."""
    found = unreadable(frame, request.query)
    if found:
        ids = frame["material_id"].tolist()
        told = [f"{ids[place]}: field {column!r} holds {str(cell)[:80]!r}" for place, column, cell in found[:10]]
        more = [f"and {len(found) - 10} more"] if len(found) > 10 else []
        listed = "".join(f"\n  - {line}" for line in [*told, *more])
        raise SourceIntegrityError(f"values by which the query cannot judge; nothing was kept{listed}")


class MissingKey(SourceKeyError):
    """No API key was given."""


def find_key() -> str:
    """The API key, from MP_API_KEY, PMG_MAPI_KEY or pymatgen's settings. SourceKeyError if it is none."""
    key = os.environ.get("MP_API_KEY") or os.environ.get("PMG_MAPI_KEY") or _pymatgen_key()
    way_out = "get one at https://next-gen.materialsproject.org/api and set MP_API_KEY"
    if not key:
        raise MissingKey(f"no API key for the Materials Project: {way_out}")
    if len(key) != _KEY_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
        told = f"a key has {_KEY_LENGTH} letters and digits, this one is {len(key)} characters long or has others"
        raise SourceKeyError(f"the API key is malformed ({told}): {way_out}")
    return key


def _pymatgen_key() -> str | None:
    from pymatgen.core import SETTINGS

    return SETTINGS.get("PMG_MAPI_KEY")


def _without_key(error: SourceError, key: str | None) -> SourceError:
    """The same error; none of ours ever tells the key."""
    if key is None or key not in str(error):
        return error
    return type(error)(str(error).replace(key, "<key>"))


def _non_commercial(licence: Any) -> bool:
    return isinstance(licence, str) and "NC" in licence.upper()


def _counts(cells: Any) -> dict[str, int]:
    stated = ["not stated" if not isinstance(cell, str) else cell for cell in cells]
    return {licence: stated.count(licence) for licence in sorted(set(stated))}
