"""A backup of a live store, and the way back.

A backup is a folder, or one zip of it: of a store in a file a copy that is a store itself, made while others may write; of a
store on a server an archive of every campaign. With it goes a hash of every file, and the copy is audited when it is made.
A restore imports every campaign into another store, of either engine, and verifies it on the way.
"""

from __future__ import annotations

import json
import lzma
import os
import re
import shutil
import sqlite3
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from discover.campaign.pool.places import place_of
from discover.candidates.snapshots.place import Place
from discover.errors import DiscoverError, InvalidInput, Problem, StoreError
from discover.provenance.archive import MANIFEST, file_hash, member, parts, write_archive
from discover.provenance.audit import audit
from discover.provenance.findings import Audit, Finding
from discover.provenance.importing import check_free, import_campaign
from discover.provenance.rows import entry, event_of, snapshots_of, stored_rows
from discover.provenance.unpacking import MEMBERS, File, extract
from discover.store.database.places import path_of
from discover.store.log.log import EventLog

FORMAT = "discover-backup"
VERSION = 1
HEAD = "backup.json"
_NAMES = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,150}(\.files/snapshots/[0-9a-f]{64}\.(parquet|json))?")
_MOST = 256 * 2**20


@dataclass(frozen=True)
class Backup:
    """Where a backup is, which campaigns it holds, and what an audit of the copy found."""

    path: Path
    campaigns: tuple[str, ...]
    audit: Audit

    def __str__(self) -> str:
        n = len(self.campaigns)
        return f"{n} {'campaign is' if n == 1 else 'campaigns are'} in {self.path}\n{self.audit}"


def backup(store: str | EventLog, out: Path | str) -> Backup:
    """Copy a whole store, while others may write into it, into a new folder, or into a .zip; the copy is audited.

    It appears whole or not at all. InvalidInput where something stands at `out` already; StoreError, IntegrityError where the
    store cannot be read. A store that was damaged before is copied as it is: the audit says so.
    """
    log = store if isinstance(store, EventLog) else EventLog(store, create=False)
    out = Path(out)
    _check_new(out)
    draft = out.parent / f".{out.name}.{os.getpid()}.draft"
    try:
        draft.mkdir(parents=True)
        path = path_of(log.database.url) if log.database.dialect == "sqlite" else None
        names = tuple(log.names())
        if log.database.dialect != "sqlite":
            _archive_all(log, names, draft)
        elif path is None:
            raise StoreError("a store in memory has no backup: export its campaigns")
        else:
            _copy(log, draft / _copied_name(path.name))
        found = _verify(draft, log.database.url)
        _write_head(draft)
        _finish(draft, out)
    except OSError as error:
        raise _refused(out, f"the backup cannot be written: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Backup(out, names, found)


def restore(path: Path | str, store: str | EventLog) -> list[str]:
    """Import every campaign of a backup into a store, which is made if there is none; their names.

    Nothing is written before every file of the backup was held against its hash and every name was found free.
    """
    with _files(Path(path)) as folder:
        log = store if isinstance(store, EventLog) else EventLog(store)
        with TemporaryDirectory(prefix="discover-restore-") as made:
            archives = list(_archives(folder, Path(made)))
            for _, name, uid in archives:
                check_free(log, name, uid)
            return [import_campaign(archive, log).name for archive, _, _ in archives]


def _check_new(out: Path) -> None:
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise _refused(out, "something is there already", "name a new folder, or a new .zip")


def _copied_name(name: str) -> str:
    """The store's own name where a restore will take it, so that every backup that is made can come back."""
    return name if _NAMES.fullmatch(name) and not name.endswith(".zip") and name != HEAD else "store.db"


def _copy(log: EventLog, target: Path) -> None:
    """The database by SQLite's online backup, then the snapshots that its events refer to: they were written before."""
    source = path_of(log.database.url)
    assert source is not None
    try:
        with (
            closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=log.database.busy_seconds)) as here,
            closing(sqlite3.connect(target)) as there,
        ):
            here.backup(there)
            there.execute("PRAGMA journal_mode=DELETE")
            if there.execute("SELECT 1 FROM sqlite_master WHERE name = 'settings'").fetchone():
                there.execute("DELETE FROM settings WHERE key = 'snapshots'")  # the copy has its own
                there.commit()
    except sqlite3.Error as error:
        told = f"the store {log.database.url} cannot be copied to {target.parent.parent}: {error}"
        raise StoreError(f"{told}; see that there is room, and 'discover audit'") from error
    copy = EventLog(f"sqlite:///{target}")
    try:
        for name in copy.names():
            _copy_snapshots(copy, name, place_of(log.database, name))
    finally:
        copy.database.close()


def _copy_snapshots(copy: EventLog, name: str, source: Place) -> None:
    target = Place(copy.database.files / "snapshots")
    hashes: dict[str, None] = {}
    try:
        for row in stored_rows(copy, name):
            hashes |= dict.fromkeys(snapshots_of([event_of(row)]))
    except (DiscoverError, ValueError, KeyError, TypeError):
        pass  # the audit of the copy says what is wrong with the events
    for digest in hashes:
        for suffix in (".parquet", ".json"):
            body = source.read(digest + suffix)
            if body is not None:
                with target.writing(digest + suffix) as path:
                    path.write_bytes(body)


def _archive_all(log: EventLog, names: tuple[str, ...], folder: Path) -> None:
    for name in names:
        write_archive(log, name, folder / f"{name}.zip")


def _verify(folder: Path, shown: str) -> Audit:
    """An audit of the copy; archives are imported into a store that is thrown away."""
    databases = [path for path in folder.iterdir() if path.is_file() and path.suffix != ".zip"]
    if databases:
        found = audit(f"sqlite:///{databases[0]}")
        return Audit(shown, found.campaigns, found.events, found.findings)
    with TemporaryDirectory(prefix="discover-verify-") as scratch:
        url = f"sqlite:///{Path(scratch) / 'store.db'}"
        log = EventLog(url)
        refused = []
        try:
            for archive in sorted(folder.glob("*.zip")):
                try:
                    import_campaign(archive, log)
                except DiscoverError as error:
                    refused.append(Finding("error", str(error), campaign=archive.stem))
            found = audit(log)
        finally:
            log.database.close()
        return Audit(shown, found.campaigns, found.events, (*refused, *found.findings))


def _write_head(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm")))
    told = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": file_hash(path)} for path in files
    }
    body = {"format": FORMAT, "version": VERSION, "files": told}
    (folder / HEAD).write_text(json.dumps(body, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _finish(draft: Path, out: Path) -> None:
    """Put the folder, or its zip, in its place."""
    if out.suffix != ".zip":
        if out.is_dir():
            out.rmdir()
        draft.rename(out)
        return
    packed = draft.with_name(f"{draft.name}.zip")
    try:
        with zipfile.ZipFile(packed, "w") as archive:
            for name in (HEAD, *json.loads((draft / HEAD).read_text())["files"]):
                with (draft / name).open("rb") as source, archive.open(member(name), "w", force_zip64=True) as target:
                    for part in parts(source):
                        target.write(part)
        packed.rename(out)
    finally:
        packed.unlink(missing_ok=True)


@contextmanager
def _files(path: Path) -> Iterator[Path]:
    """A backup's files in a folder that may be written to, each with the hash that the backup tells of."""
    with TemporaryDirectory(prefix="discover-restore-") as scratch:
        folder = Path(scratch)
        try:
            if path.is_dir():
                _from_folder(path, folder)
            else:
                _from_zip(path, folder)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, UnicodeError) as error:
            raise _refused(path, f"it is not a whole backup: {error}") from error
        except OSError as error:
            raise _refused(path, f"it cannot be read: {error.strerror or error}") from error
        yield folder


def _from_folder(path: Path, folder: Path) -> None:
    for name, told in _head(path, (path / HEAD).read_bytes()).items():
        source = path / name
        if not source.is_file() or source.stat().st_size != told.bytes or file_hash(source) != told.sha256:
            raise _refused(path, f"{name} is not the file that was backed up", "use another backup")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / name)


def _from_zip(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: info for info in archive.infolist()}
        if MANIFEST in members:
            raise _refused(path, "it is the archive of one campaign", "bring it in with 'discover import'")
        if HEAD not in members or len(members) != len(archive.infolist()) or members[HEAD].file_size > _MOST:
            raise _refused(path, f"it has no {HEAD}, or files twice", "is it what 'discover backup' wrote?")
        files = _head(path, archive.read(HEAD))
        if set(files) != set(members) - {HEAD}:
            raise _refused(path, "it holds other files than it tells of")
        for name, told in files.items():
            extract(path, archive, members[name], told, folder / name)


def _head(path: Path, text: bytes) -> dict[str, File]:
    """The files of a backup by name; every name is one that a backup has."""
    try:
        body: Any = json.loads(text.decode())
        if body["format"] != FORMAT or body["version"] != VERSION or len(body["files"]) > MEMBERS:
            raise ValueError(f"it is of format {body['format']!r} {body['version']!r}")
        files = {str(name): File.model_validate(told) for name, told in body["files"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _refused(path, f"its {HEAD} cannot be read: {error}", "is it what 'discover backup' wrote?") from error
    strange = [Problem("no backup holds such a file", value=name) for name in files if not _NAMES.fullmatch(name)]
    if strange:
        raise InvalidInput(f"backup {path}", strange)
    return files


def _archives(folder: Path, made: Path) -> Iterator[tuple[Path, str, str]]:
    """An archive of every campaign, with its name and id."""
    from discover.provenance.unpacking import manifest_of

    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        if path.suffix == ".zip":
            manifest = manifest_of(path)
            yield path, manifest.campaign, manifest.uid
            continue
        log = EventLog(f"sqlite:///{path}", create=False)
        try:
            for name in log.names():
                write_archive(log, name, made / f"{name}.zip")
                yield made / f"{name}.zip", name, entry(log, name).uid
        finally:
            log.database.close()


def _refused(path: Path, what: str, way_out: str = "") -> InvalidInput:
    return InvalidInput(f"backup {path}", [Problem(what, way_out=way_out)])
