"""Where snapshots are: a folder of this machine, or any place that fsspec reaches by URL, so that machines share it.

A place holds whole files under plain names. On this machine a file appears in one step, on disk for good. Elsewhere it is
written under another name and then renamed, for not every protocol replaces a file in one step.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from discover.candidates.deadline import bounded
from discover.errors import DiscoverError, InvalidInput, Problem, StoreError, Unsupported

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

T = TypeVar("T")

COPIES = "snapshots-cache"
"""The folder among a store's files for copies of snapshots that are elsewhere."""
SECONDS = 600.0
"""How long one file may take on its way; a protocol's own time-outs may never end."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(://|::)")
_QUERY = re.compile(r"(\w+://[^\s?'\"]*)\?[^\s'\"]*|(?<=[\w/])\?\S*=\S*")
_USER = re.compile(r"(://)[^/\s@]*@")
_SECRETS = ("password", "passphrase", "secret", "token", "key", "credential", "connection_string")


@dataclass(frozen=True)
class Place:
    """A folder of this machine (`where` is its Path), or one behind an fsspec URL (`where` is the URL).

    cache: a local folder for copies of what is fetched; without one they last as long as this process.
    """

    where: Path | str
    cache: Path | None = field(default=None, compare=False)

    @classmethod
    def of(cls, where: Place | Path | str, cache: Path | None = None, *, base: Path | None = None) -> Place:
        """A place from a path (relative ones start at `base`) or a URL. InvalidInput for a URL that holds secrets.

        Credentials belong into fsspec's configuration or the environment (`FSSPEC_SFTP_PASSWORD`, the cloud's own
        variables): a URL is kept in the store and shown.
        """
        if isinstance(where, Place):
            return where if where.cache or cache is None else cls(where.where, cache)
        if isinstance(where, Path) or not _URL.match(where):
            path = Path(where).expanduser()
            return cls(base / path if base else path)
        protocol, _, rest = where.partition("://")
        if protocol in ("file", "local"):
            return cls(Path(rest))
        _check_url(where)
        return cls(where.rstrip("/"), cache)

    @property
    def local(self) -> Path | None:
        """The folder, if it is one of this machine."""
        return self.where if isinstance(self.where, Path) else None

    def names(self, suffix: str = "") -> list[str]:
        """Names of the files, in order; none if there is no such place yet."""
        if self.local is not None:
            return sorted(p.name for p in self.local.glob(f"*{suffix}") if p.is_file() and not p.name.startswith("."))

        def listed(system: AbstractFileSystem, root: str) -> list[str]:
            system.invalidate_cache()
            return [str(path).rstrip("/").rpartition("/")[2] for path in system.ls(root, detail=False)]

        names = self._far("list", listed) or []
        return sorted(name for name in names if name.endswith(suffix) and not name.startswith("."))

    def read(self, name: str) -> bytes | None:
        """A whole file, or None if there is none."""
        if self.local is not None:
            try:
                return (self.local / name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return self._far(f"read {name} from", lambda system, root: system.cat_file(f"{root}/{name}"))

    def read_all(self, names: Sequence[str]) -> dict[str, bytes]:
        """Whole files by name, fetched together where the protocol can; those that vanished meanwhile are left out."""
        if self.local is not None or len(names) < 2:
            found = {name: self.read(name) for name in names}
            return {name: body for name, body in found.items() if body is not None}

        def fetched(system: AbstractFileSystem, root: str) -> dict[str, bytes]:
            bodies = system.cat([f"{root}/{name}" for name in names], on_error="omit")
            return {str(path).rpartition("/")[2]: body for path, body in bodies.items()}

        return self._far("read", fetched) or {}

    def size(self, name: str) -> int | None:
        """Bytes of a file, or None if there is none."""
        if self.local is not None:
            path = self.local / name
            return path.stat().st_size if path.is_file() else None

        def told(system: AbstractFileSystem, root: str) -> int:
            system.invalidate_cache()
            return int(system.info(f"{root}/{name}")["size"])

        return self._far(f"look for {name} in", told)

    def modified(self, name: str) -> float:
        """When a file was written, in seconds since 1970; 0.0 where the protocol does not tell."""
        if self.local is not None:
            return (self.local / name).stat().st_mtime

        def told(system: AbstractFileSystem, root: str) -> float:
            try:
                return float(system.modified(f"{root}/{name}").timestamp())
            except NotImplementedError:
                return 0.0

        return self._far(f"look for {name} in", told) or 0.0

    @contextlib.contextmanager
    def fetching(self, name: str) -> Iterator[Path | None]:
        """A file as one of this machine, to be looked at; None if there is none. A fresh copy is kept unless the block raises."""
        if self.local is not None:
            path = self.local / name
            yield path if path.is_file() else None
            return
        body = self.read(name)
        if body is None:
            yield None
            return
        with _replacing(self.copy(name)) as path:
            path.write_bytes(body)
            yield path

    def copy(self, name: str) -> Path:
        """Where a file's local copy is, or would be."""
        return self.local / name if self.local is not None else (self.cache or _scratch()) / name

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A local path to write to; at the end of the block it becomes the file, whole. After an error nothing changed."""
        with _replacing(self.copy(name)) as path:
            yield path
            if self.local is None:
                self._far(f"write {name} to", lambda system, root: _put(system, path, f"{root}/{name}"), absent=False)

    def _far(self, what: str, action: Callable[[AbstractFileSystem, str], T], *, absent: bool = True) -> T | None:
        """What an action on the file system behind the URL returns; None where it finds no such file, if that may be.

        StoreError in words for whatever fails; Unsupported names the package that a protocol needs.
        """
        try:
            return bounded(lambda: action(*_system(str(self.where))), SECONDS)
        except FileNotFoundError as error:
            if absent:
                return None
            why = f"not found: {_scrubbed(str(error), str(self.where))}"
        except DiscoverError:
            raise
        except TimeoutError as error:
            why = _scrubbed(str(error), str(self.where)) or f"no end after {SECONDS:.0f} s"
        except ImportError as error:
            raise Unsupported(_needs(str(self.where), error)) from None
        except Exception as error:  # every protocol has errors of its own
            why = f"{type(error).__name__}: {_scrubbed(str(error), str(self.where))}"[:500]
        way_out = "check the address, the network and the credentials in the environment, and try again"
        raise StoreError(f"cannot {what} {self}: {why}; {way_out}") from None  # the cause may hold a secret

    def __str__(self) -> str:
        return str(self.where)


@cache
def _scratch() -> Path:
    """A folder that goes with the process."""
    holder = tempfile.TemporaryDirectory(prefix="discover-snapshots-")
    _KEPT.append(holder)
    return Path(holder.name)


_KEPT: list[Any] = []


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A path beside `target`; at the end of the block what was written there takes its place in one step, on disk for good."""
    target.parent.mkdir(parents=True, exist_ok=True)
    path = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.new")
    try:
        yield path
        if path.exists():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
            path.replace(target)
            _sync_folder(target.parent)
    finally:
        path.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """A second name for a file that nobody changes, or where the file system has no such thing, a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put(system: AbstractFileSystem, source: Path, target: str) -> None:
    """Upload under another name, then rename: nobody reads half a file."""
    folder, _, name = target.rpartition("/")
    system.makedirs(folder, exist_ok=True)
    draft = f"{folder}/.{name}.{uuid.uuid4().hex[:12]}.new"
    try:
        system.put_file(str(source), draft)
        system.invalidate_cache()
        size = int(system.info(draft)["size"])
        if size != source.stat().st_size:
            raise OSError(f"{size} of {source.stat().st_size} bytes arrived")
        with contextlib.suppress(FileExistsError):
            system.mv(draft, target)
        if _there(system, draft):  # a protocol that renames onto nothing that is there
            with contextlib.suppress(FileNotFoundError):
                system.rm_file(target)
            system.mv(draft, target)  # if it is still not done, somebody else has just written the same name
    finally:
        with contextlib.suppress(Exception):
            if _there(system, draft):
                system.rm_file(draft)


def _there(system: AbstractFileSystem, path: str) -> bool:
    system.invalidate_cache()
    return bool(system.exists(path))


def _system(url: str) -> tuple[AbstractFileSystem, str]:
    """The file system behind a URL, asked for anew each time: fsspec keeps it, by process."""
    from fsspec.core import url_to_fs

    system, root = url_to_fs(url)
    return system, str(root).rstrip("/")


def _check_url(url: str) -> None:
    from urllib.parse import urlsplit

    problems = []
    shown = _scrubbed(url, "")
    if "::" in url:
        problems.append(Problem("chained addresses are not supported", value=shown, way_out="give the last one alone"))
    else:
        parts = urlsplit(url)
        hint = "put it into fsspec's configuration or the environment, such as FSSPEC_SFTP_PASSWORD"
        if parts.password is not None:
            problems.append(
                Problem("the address holds a password, and it is kept and shown", value=shown, way_out=hint)
            )
        if parts.query or parts.fragment:
            problems.append(Problem("an address has no query: it may hold a secret", value=shown, way_out=hint))
    if problems:
        raise InvalidInput("snapshots", problems)


def _scrubbed(text: str, url: str) -> str:
    """Text without user names, queries and the secrets that fsspec is configured with."""
    from fsspec.config import conf

    given = conf.get(url.partition("://")[0], {}) if url else {}
    for name, value in given.items():
        if isinstance(value, str) and len(value) > 2 and any(word in name.lower() for word in _SECRETS):
            text = text.replace(value, f"<{name}>")
    text = _QUERY.sub(lambda found: f"{found[1] or ''}?…", text)
    return _USER.sub(r"\1…@", text)


def _needs(url: str, error: ImportError) -> str:
    """Which package a protocol needs: what could not be imported, in the words of fsspec where it has some."""
    cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
    package = (cause.name or "").partition(".")[0]
    words = "; ".join(dict.fromkeys(part for part in (package and f"pip install {package}", str(error)) if part))
    return f"snapshots at {url} need a package that is not installed ({words})"
