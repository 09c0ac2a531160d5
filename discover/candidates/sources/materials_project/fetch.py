"""One conversation with the Materials Project: its heartbeat, its client, and the pages of a query."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from discover.candidates.deadline import bounded
from discover.candidates.sources.materials_project.pages import PageBook, PageStore, read_ids, read_json
from discover.candidates.sources.materials_project.request import Request
from discover.candidates.sources.materials_project.session import (
    Fault,
    GuardedSession,
    Limits,
    Patience,
    Runtime,
    Transport,
)
from discover.errors import SourceError, SourceIntegrityError, SourceQueryError, SourceUnavailable
from discover.values import Progress

_HEARTBEAT = ("db_version", "access_controlled_batch_ids")
_TOO_LONG = (414, 422)


class Pages:
    """Pages of one pull: finished ones from disk, others from the service, each checked before it is kept."""

    def __init__(self, service: Service, store: PageStore, book: PageBook):
        self._service, self._store, self.book = service, store, book
        self.asked = 0
        self.resumed = 0
        self._url = ""

    def fetch(self, url: str, params: Mapping[str, Any]) -> tuple[int, bytes]:
        """Status and body for the client. A list of ids that is too long for one request is left for it to split."""
        self._url = url
        kept = self._store.get(params)
        if kept is not None and not self._service.transport.betrays(kept):
            self._accept(params, kept)
            self.resumed += 1
            return 200, kept
        return self._service.patience.persist(lambda: self._ask(url, params), "the pull from the Materials Project")

    def _accept(self, params: Mapping[str, Any], body: bytes) -> None:
        try:
            self.book.accept(params, body)
        except Fault as fault:
            raise SourceIntegrityError(f"pages of an earlier run do not fit: {fault.why}") from None

    def _ask(self, url: str, params: Mapping[str, Any]) -> tuple[int, bytes]:
        self.asked += 1
        transport = self._service.transport
        reply = transport.get(url, params, self._service.patience.attempt)
        if reply.status in _TOO_LONG and "," in str(params.get("material_ids", "")):
            return reply.status, reply.body
        body = transport.judge(reply).body
        self.book.accept(params, body)
        self._store.put(params, body)
        return 200, body

    def confirm(self) -> None:
        """Read the ids of every stream once more. RowsMoved unless they are those of the pages."""
        for stream in self.book.streams.values():
            stream.check(self._ids)

    def _ids(self, params: Mapping[str, Any]) -> tuple[list[str], int]:
        """Never from disk: it is the service of now that has to agree."""
        patience, transport = self._service.patience, self._service.transport

        def attempt() -> tuple[list[str], int]:
            return read_ids(transport.judge(transport.get(self._url, params, patience.attempt)).body)

        return patience.persist(attempt, "the closing check of the pull from the Materials Project")

    def forget(self) -> None:
        """Throw the kept pages away."""
        self._store.clear()


class Service:
    """The service behind one endpoint, for one pull: every request shares the pull's time."""

    def __init__(self, endpoint: str, key: str, limits: Limits, runtime: Runtime):
        self.endpoint, self._key, self._runtime = endpoint, key, runtime
        self._user_agent = (
            f"mp-api/{version('mp-api')} (Python/{platform.python_version()} {platform.system()}) discover"
        )
        _import_client()
        self.patience = Patience(limits, runtime)
        self.transport = Transport(key, self._user_agent, runtime)

    def now(self) -> datetime:
        """The time of day."""
        return self._runtime.now()

    def database_version(self) -> str:
        """The database's version, asked anew: the client's own is as old as its process."""
        return self.patience.persist(self._heartbeat, "the heartbeat of the Materials Project")

    def changed_since(self, database: str) -> bool:
        """Whether the service tells another version now; no answer tells nothing."""
        try:
            return self.database_version() != database
        except SourceError:
            return False

    def _heartbeat(self) -> str:
        reply = self.transport.get(f"{self.endpoint}heartbeat", {}, self.patience.attempt)
        beat = read_json(self.transport.judge(reply, heartbeat=True).body)
        missing = [name for name in _HEARTBEAT if not isinstance(beat, dict) or name not in beat]
        if missing:
            raise Fault(SourceIntegrityError, f"it does not tell {' and '.join(missing)}", again=True)
        if not isinstance(beat["db_version"], str) or not beat["db_version"]:
            raise Fault(SourceIntegrityError, f"its db_version is {beat['db_version']!r}", again=True)
        return beat["db_version"]

    def pages(self, folder: Path, database: str, progress: Progress | None) -> Pages:
        """Pages of a pull from one database version, resumed where an earlier one stopped."""
        name = "".join(letter if letter.isalnum() else "-" for letter in database)
        store = PageStore(folder / name, lambda: self.now().timestamp())
        store.clear_others()
        return Pages(self, store, PageBook(progress))

    def documents(self, request: Request, page_size: int, pages: Pages) -> list[dict[str, Any]]:
        """All documents of a request, from the client's own search. SourceError by cause."""
        from mp_api.client.core.exceptions import MPRestError

        client = self._client(GuardedSession(pages.fetch))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                documents = list(client.search(**request.arguments(page_size)))
        except SourceError:
            raise
        except MPRestError as error:
            raise SourceQueryError(f"the client refused the query: {self.transport.scrub(error)}") from None
        except Exception as error:
            why = f"{type(error).__name__}: {self.transport.scrub(error)}"
            raise SourceIntegrityError(f"the client could not read the answer ({why}). Nothing was kept") from None
        pages.book.check_whole(len(documents))
        pages.confirm()
        return documents

    def _client(self, session: GuardedSession) -> Any:
        """The client's search in dict mode.

        At construction it reads the heartbeat once a process by itself, without a time-out, so that is bounded here.
        """
        from mp_api.client.routes.materials.summary import SummaryRester

        def make() -> Any:
            return SummaryRester(
                api_key=self._key,
                endpoint=self.endpoint,
                session=session,
                use_document_model=False,
                mute_progress_bars=True,
            )

        def attempt() -> Any:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    return bounded(make, self.patience.attempt)
            except TimeoutError:
                raise Fault(SourceUnavailable, "its heartbeat does not end", again=True) from None
            except Exception as error:
                why = f"{type(error).__name__}: {self.transport.scrub(error)}"
                raise Fault(SourceUnavailable, f"it could not read the heartbeat ({why})", again=True) from None

        return self.patience.persist(attempt, "the start of the client")

    def close(self) -> None:
        """Let go of the connections."""
        self.transport.close()


def _import_client() -> None:
    """Some seconds of importing, before the time of the pull begins to count."""
    import mp_api.client.routes.materials.summary  # noqa: F401
