"""A WebHDFS on the loopback interface, for fsspec's own unmodified client: real HTTP, real files, faults on request.

A rename onto a file that is there does nothing, as in HDFS. With a password, every request must carry it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PREFIX = "/webhdfs/v1"


class WebHDFSServer:
    """Serves the files below `root`. `cut` shortens every file that is read; `refuse` answers everything with an error."""

    def __init__(self, root: Path, password: str | None = None):
        self.root, self.password = root, password
        self.cut = 0
        self.refuse: str | None = None
        self.calls: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"outer": self}))
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.05), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"webhdfs://127.0.0.1:{self.port}/shared/snapshots"

    @property
    def folder(self) -> Path:
        """Where the files of `url` lie."""
        return self.root / "shared" / "snapshots"

    def __enter__(self) -> WebHDFSServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)


class _Handler(BaseHTTPRequestHandler):
    outer: WebHDFSServer

    def _any(self) -> None:
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        op, path = asked.get("op", ""), self.outer.root / unquote(parts.path).removeprefix(PREFIX).lstrip("/")
        self.outer.calls.append(op)
        if self.outer.refuse is not None:
            return self._fail(403, "AccessControlException", f"{self.outer.refuse} for {self.path}")
        if self.outer.password is not None:
            token = base64.b64encode(f"robot:{self.outer.password}".encode()).decode()
            if self.headers.get("Authorization") != f"Basic {token}":
                return self._fail(401, "SecurityException", f"{self.headers.get('Authorization')} is not let in")
        try:
            return getattr(self, f"_{op.lower()}")(path, asked, body)
        except FileNotFoundError:
            return self._fail(404, "FileNotFoundException", f"File {path.name} does not exist.")

    do_GET = do_PUT = do_POST = do_DELETE = _any

    def _getfilestatus(self, path: Path, *_: Any) -> None:
        self._json({"FileStatus": _status(path)})

    def _liststatus(self, path: Path, *_: Any) -> None:
        inside = []
        for inner in path.iterdir():
            with contextlib.suppress(FileNotFoundError):
                inside.append(_status(inner))
        self._json({"FileStatuses": {"FileStatus": inside}})

    def _mkdirs(self, path: Path, *_: Any) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._json({"boolean": True})

    def _create(self, path: Path, asked: dict[str, str], body: bytes) -> None:
        if "data" not in asked:
            return self._elsewhere()
        path.write_bytes(body)
        return self._json({}, 201)

    def _append(self, path: Path, asked: dict[str, str], body: bytes) -> None:
        if "data" not in asked:
            return self._elsewhere()
        with path.open("ab") as file:
            file.write(body)
        return self._json({})

    def _rename(self, path: Path, asked: dict[str, str], _: bytes) -> None:
        target = self.outer.root / asked["destination"].lstrip("/")
        if free := not target.exists():
            path.rename(target)
        self._json({"boolean": free})

    def _delete(self, path: Path, *_: Any) -> None:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._json({"boolean": True})

    def _open(self, path: Path, asked: dict[str, str], _: bytes) -> None:
        start = int(asked.get("offset", 0))
        length = int(asked.get("length", path.stat().st_size))
        body = path.read_bytes()[start : start + length]
        self._send(200, body[: len(body) - self.outer.cut])

    def _elsewhere(self) -> None:
        self.send_response(307)
        self.send_header("Location", f"http://127.0.0.1:{self.outer.port}{self.path}&data=true")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _fail(self, status: int, kind: str, message: str) -> None:
        self._json({"RemoteException": {"exception": kind, "message": message}}, status)

    def _json(self, body: Any, status: int = 200) -> None:
        self._send(status, json.dumps(body).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def _status(path: Path) -> dict[str, Any]:
    told = path.stat()
    kind = "DIRECTORY" if path.is_dir() else "FILE"
    return {
        "pathSuffix": path.name,
        "type": kind,
        "length": told.st_size,
        "modificationTime": int(told.st_mtime * 1000),
    }
