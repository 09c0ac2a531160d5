"""A Prefect server for the length of one run, where the user has none.

Prefect would start one itself, but in the terminal's own process group: Ctrl-C then ends the server before the flow, and
the flow spends minutes telling a server that is gone. This one is out of the terminal's reach and ends with the run.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from discover.errors import DiscoverError

SECONDS = 120
"""How long a server may take to answer; a busy machine needs more than half a minute."""


class ServerFailed(DiscoverError):
    """There is no Prefect server: the temporary one did not start, or the user's does not answer."""


@contextmanager
def temporary_server(seconds: float = SECONDS) -> Iterator[None]:
    """Start a server and point this process at it, unless PREFECT_API_URL names one already; ServerFailed if that is dead."""
    if url := os.environ.get("PREFECT_API_URL"):
        check_server(url, "start it, or unset PREFECT_API_URL for a temporary one")
        yield
        return
    port = _free_port()
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-services",
    ]
    server = subprocess.Popen(
        command,
        env={**os.environ, "PREFECT_UI_ENABLED": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,
    )
    try:
        os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
        _import_prefect_meanwhile()
        _wait(server, port, seconds)
        yield
    finally:
        del os.environ["PREFECT_API_URL"]
        _stop(server)


def check_server(url: str, way_out: str) -> None:
    """ServerFailed, in time and in words, about a server that does not answer; Prefect itself would try for minutes."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=20):
            return
    except urllib.error.HTTPError:
        return  # it answers; whether it lets us in is for Prefect to say
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise ServerFailed(
            f"no Prefect server answers at PREFECT_API_URL={url} ({getattr(error, 'reason', error)}); {way_out}"
        ) from error


def _import_prefect_meanwhile() -> None:
    import prefect  # noqa: F401


def _wait(server: subprocess.Popen[bytes], port: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise ServerFailed(
        f"the temporary Prefect server did not answer within {seconds:g} s; start one with 'prefect server start', set "
        "PREFECT_API_URL to its address, and run again: the campaign goes on from its store"
    )


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_with_parent() -> None:
    """In the child, before it becomes the server: ask the kernel to end it if this program is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
