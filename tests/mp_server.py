"""A Materials Project on the loopback interface: real HTTP, real pages, and every fault on request.

`MPServer(documents())` answers `heartbeat` and `materials/summary/` as the service does: filters, projection, sorting,
`_limit` and `_skip`. `server.fail(…)` puts a fault in front of the next answers.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KEY = "0123456789abcdefghijKLMNOPQRstuv"
VERSION = "2026.04.13"
REPOSITORY = Path(__file__).resolve().parents[1]
SHIPPED = REPOSITORY / "campaigns" / "data" / "matbench-dielectric"
RECORDS = REPOSITORY / ".." / "shared" / "data" / "naccarato_refractive_index"

Document = dict[str, Any]
Fault = Callable[["Handler", "Call"], None]


def letters(number: int, width: int = 8) -> str:
    """The service's newer spelling of an id: 149 is `mp-aaaaaaft`."""
    text = ""
    while number or not text:
        number, rest = divmod(number, 26)
        text = chr(ord("a") + rest) + text
    return "mp-" + text.rjust(width, "a")


@lru_cache(maxsize=4)
def _shipped(count: int) -> str:
    from discover.candidates.snapshots.snapshot import Snapshot

    snapshot = Snapshot.newest(SHIPPED)
    assert snapshot is not None, f"the shipped snapshot is missing from {SHIPPED}"
    ids = snapshot.ids[:: max(1, len(snapshot) // count)][:count]
    return json.dumps(
        [_document(i, row) for i, row in enumerate(snapshot.frame(snapshot.columns, ids).to_dict("records"))]
    )


def _document(place: int, row: dict[str, Any]) -> Document:
    """A summary document made from a row of the shipped snapshot; ids, gaps and stabilities are invented."""
    from discover.candidates.materials.formula import parse_formula

    number = 100 + 7 * place
    counts = dict(parse_formula(row["formula"]))
    elements = sorted(counts)
    return {
        "material_id": f"mp-{number}" if place % 2 else letters(number),
        "formula_pretty": row["formula"],
        "chemsys": "-".join(elements),
        "elements": elements,
        "nelements": len(elements),
        "nsites": int(row["nsites"]),
        "composition_reduced": counts,
        "volume": float(row["volume"]),
        "symmetry": {
            "number": 1 + place % 230,
            "crystal_system": ("Cubic", "Trigonal", "Hexagonal")[place % 3],
            "symbol": "x",
            "symprec": 0.1,
        },
        "structure": json.loads(row["structure"]),
        "n": float(row["n"]),
        "band_gap": round(0.1 + 0.05 * (place % 90), 6),
        "energy_above_hull": round(0.001 * (place % 50), 6),
        "bulk_modulus": {"voigt": 10.0 + place, "reuss": 9.0 + place, "vrh": 9.5 + place} if place % 3 else None,
        "is_metal": place % 90 < 2,
        "theoretical": place % 4 == 0,
        "deprecated": False,
        "last_updated": "2026-01-02T03:04:05",
        "has_props": {"dielectric": True, "elasticity": bool(place % 3)},
        "builder_meta": {"license": "BY-C", "build_date": "2026-01-01T00:00:00", "emmet_version": "0.87.3"},
    }


def documents(count: int = 120) -> list[Document]:
    """Summary documents of shipped structures, with invented ids in both spellings in turn."""
    return json.loads(_shipped(count))[:count]


def real_documents(count: int) -> list[Document] | None:
    """Documents of real Materials Project records, where this checkout has them beside it; else None."""
    found: list[Document] = []
    for path in sorted(RECORDS.glob("summary_docs_from_optimade.part*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                if len(found) == count:
                    return found
                found.append(json.loads(line))
    return found or None


@dataclass
class Call:
    """A request as it arrived: its path, its parameters, its headers."""

    path: str
    params: dict[str, str]
    headers: dict[str, str]


@dataclass
class MPServer:
    """Use as a context manager; `url` is the endpoint. `calls` are all requests so far."""

    documents: list[Document]
    version: str = VERSION
    largest_page: int = 1000
    ignored: frozenset[str] = frozenset()
    key: str = KEY
    calls: list[Call] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    _faults: dict[str, list[tuple[Callable[[Call], bool], Fault]]] = field(default_factory=dict)

    def fail(
        self, fault: Fault, *, times: int = 1, heartbeat: bool = False, when: Callable[[Call], bool] = lambda call: True
    ) -> None:
        """Answer the next `times` matching requests with a fault. Faults are used up in the order of their making."""
        self._faults.setdefault("heartbeat" if heartbeat else "summary", []).extend([(when, fault)] * times)

    @property
    def pages(self) -> list[Call]:
        """Requests for pages of documents."""
        return [call for call in self.calls if "summary" in call.path and not _ids_alone(call)]

    @property
    def checks(self) -> list[Call]:
        """Requests for ids alone: the closing check."""
        return [call for call in self.calls if "summary" in call.path and _ids_alone(call)]

    def taken(self, name: str, call: Call) -> Fault | None:
        """The first fault that is due for this request."""
        waiting = self._faults.get(name, [])
        for place, (when, fault) in enumerate(waiting):
            if when(call):
                del waiting[place]
                return fault
        return None

    def page(self, params: dict[str, str]) -> dict[str, Any]:
        """The page that the service would give."""
        rows = [document for document in self.documents if self._fits(document, params)]
        if name := params.get("_sort_fields"):
            rows.sort(key=lambda document: str(document.get(name.lstrip("-"))))
        skip, limit = int(params.get("_skip", 0)), min(int(params.get("_limit", 100)), self.largest_page)
        fields = params["_fields"].split(",") if "_fields" in params else None
        data = [{k: v for k, v in row.items() if fields is None or k in fields} for row in rows[skip : skip + limit]]
        return {"data": data, "meta": {"total_doc": len(rows), "api_version": "0.87.3"}}

    def _fits(self, document: Document, params: dict[str, str]) -> bool:
        return all(
            _holds(document, name, value)
            for name, value in params.items()
            if name not in self.ignored and name[0] != "_"
        )

    def __enter__(self) -> MPServer:
        handler = type("BoundHandler", (Handler,), {"owner": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()


def _ids_alone(call: Call) -> bool:
    return call.params.get("_fields") == "material_id"


def _holds(document: Document, name: str, value: str) -> bool:
    parts = set(value.split(","))
    if name == "elements":
        return parts <= set(document["elements"])
    if name == "exclude_elements":
        return parts.isdisjoint(document["elements"])
    if name == "material_ids":
        from discover.candidates.materials.mp_ids import canonical_id

        return canonical_id(document["material_id"]) in {canonical_id(part) for part in parts}
    if name in ("chemsys", "formula"):
        return document[{"chemsys": "chemsys", "formula": "formula_pretty"}[name]] in parts
    if name == "crystal_system":
        return document["symmetry"]["crystal_system"] == value
    if name == "has_props":
        return all(document["has_props"].get(part) for part in parts)
    if name == "batch_id_not_eq":
        return document["builder_meta"].get("batch_id") != value if document.get("builder_meta") else True
    if name.endswith(("_min", "_max")):
        cell = _cell(document, name[:-4])
        return isinstance(cell, int | float) and (
            cell >= float(value) if name.endswith("_min") else cell <= float(value)
        )
    return str(document.get(name)) == value


def _cell(document: Document, name: str) -> Any:
    if name.startswith(("k_", "g_")):
        return (document.get({"k": "bulk_modulus", "g": "shear_modulus"}[name[0]]) or {}).get(name[2:])
    return document.get(name)


class Handler(BaseHTTPRequestHandler):
    owner: MPServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        call = Call(parts.path, dict(parse_qsl(parts.query)), {k.lower(): v for k, v in self.headers.items()})
        self.owner.calls.append(call)
        name = "heartbeat" if parts.path == "/heartbeat" else "summary"
        fault = self.owner.taken(name, call)
        with suppress(BrokenPipeError, ConnectionResetError):
            if fault is not None:
                fault(self, call)
            else:
                self.answer(call)

    def answer(self, call: Call) -> None:
        if call.path == "/heartbeat":
            self.send_json(
                {
                    "version": "0.87.3",
                    "db_version": self.owner.version,
                    "access_controlled_batch_ids": ["gnome_r2scan_statics"],
                }
            )
        elif call.headers.get("x-api-key") != self.owner.key:
            self.send_json({"message": "Unauthorized"}, 401)
        elif call.path == "/materials/summary/":
            self.send_json(self.owner.page(call.params))
        else:
            self.send_json({"detail": "Not Found"}, 404)

    def send_json(self, body: Any, code: int = 200, headers: Iterable[tuple[str, str]] = ()) -> None:
        self.send_bytes(json.dumps(body).encode(), code, headers)

    def send_bytes(
        self, body: bytes, code: int = 200, headers: Iterable[tuple[str, str]] = (), length: int | None = None
    ) -> None:
        self.send_response(code)
        for name, value in (
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body) if length is None else length)),
            *headers,
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def status(code: int, body: Any = None, **headers: str) -> Fault:
    """Answer with a status, a body and headers such as `Retry_After="1"`."""
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return lambda handler, call: handler.send_json({"detail": "no"} if body is None else body, code, pairs)


def raw(body: bytes, code: int = 200) -> Fault:
    """Answer with these bytes."""
    return lambda handler, call: handler.send_bytes(body, code)


def hang(handler: Handler, call: Call) -> None:
    """Say nothing until the server closes."""
    handler.owner.closing.wait(30)
    handler.close_connection = True


def drop(handler: Handler, call: Call) -> None:
    """Hang up without a word."""
    handler.close_connection = True
    handler.connection.shutdown(2)


def truncate(handler: Handler, call: Call) -> None:
    """Announce the whole page, send half of it and hang up."""
    body = json.dumps(handler.owner.page(call.params)).encode()
    handler.send_bytes(body[: len(body) // 2], length=len(body))
    handler.close_connection = True


def cut(handler: Handler, call: Call) -> None:
    """Half a page that claims to be whole."""
    body = json.dumps(handler.owner.page(call.params)).encode()
    handler.send_bytes(body[: len(body) // 2])


def trickle(where: str) -> Fault:
    """A byte at a time, for ever: in the `head` or in the `body`."""

    def fault(handler: Handler, call: Call) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        handler.wfile.write(b"X-Slow: " if where == "head" else b"Content-Length: 1000000\r\n\r\n")
        with suppress(OSError):
            while not handler.owner.closing.wait(0.02):
                handler.wfile.write(b"a" if where == "head" else b" ")
                handler.wfile.flush()
        handler.close_connection = True

    return fault


def edited(edit: Callable[[dict[str, Any]], Any]) -> Fault:
    """The page that is due, changed in place by `edit`."""

    def change(page: dict[str, Any]) -> Any:
        edit(page)
        return page

    return replaced(change)


def replaced(make: Callable[[dict[str, Any]], Any]) -> Fault:
    """What `make` makes of the page that is due."""

    def fault(handler: Handler, call: Call) -> None:
        handler.send_json(make(json.loads(json.dumps(handler.owner.page(call.params)))))

    return fault
