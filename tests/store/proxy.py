"""A wire to a database server that can be cut at a chosen moment, such as in the middle of a commit."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress


class Proxy:
    """Listens on a loopback port and passes bytes on. `cut` says what becomes of the next COMMIT:

    'before': it never reaches the server; 'after': its answer never comes back; 'late': the client is cut off at once, and
    the server gets the COMMIT half a second later. With `stays_dead` nobody gets through any more, until it is taken back.
    """

    def __init__(self, port: int):
        self.cut: str | None = None
        self.stays_dead = False
        self.dead = False
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.dead:
                client.close()
                continue
            _Wire(self, client, socket.create_connection(("127.0.0.1", self._target)))


class _Wire:
    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket):
        self.proxy, self.client, self.server = proxy, client, server
        self.muted, self.answered = threading.Event(), threading.Event()
        for run in (self.to_server, self.to_client):
            threading.Thread(target=run, daemon=True).start()

    def to_server(self) -> None:
        with suppress(OSError):
            while data := self.client.recv(65536):
                if self.proxy.cut and b"COMMIT\0" in data:
                    how, self.proxy.cut = self.proxy.cut, None
                    self.proxy.dead = self.proxy.stays_dead
                    self.break_off(how, data)
                    break
                self.server.sendall(data)
        for wire in (self.client, self.server):
            _end(wire)

    def break_off(self, how: str, data: bytes) -> None:
        self.muted.set()
        if how == "late":
            _end(self.client)
            time.sleep(0.5)
        if how != "before":
            self.server.sendall(data)
            self.answered.wait(10)

    def to_client(self) -> None:
        with suppress(OSError):
            while data := self.server.recv(65536):
                if self.muted.is_set():
                    self.answered.set()
                else:
                    self.client.sendall(data)
        for wire in (self.client, self.server):
            _end(wire)


def _end(wire: socket.socket) -> None:
    with suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)
    wire.close()
