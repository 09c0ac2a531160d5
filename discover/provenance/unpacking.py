"""An archive to files in a folder: names, sizes and hashes are checked, and nothing outside the folder is ever touched."""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from discover.campaign.settings import NAME
from discover.errors import InvalidInput, Problem
from discover.provenance.archive import EVENTS, FORMAT, MANIFEST, OBSERVATIONS, VERSION, parts

LIMIT = 16 * 2**30
"""Bytes that an archive may hold, unpacked."""
HEAD = 4 * 2**20
"""Bytes that its manifest may have."""
MEMBERS = 20_000
NAMES = re.compile(rf"{re.escape(EVENTS)}|{re.escape(OBSERVATIONS)}|snapshots/[0-9a-f]{{64}}\.(parquet|json)")
"""The only names in an archive beside the manifest's. No path of an archive is ever used as one."""
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class File(BaseModel):
    """What the manifest says of one file."""

    model_config = ConfigDict(extra="ignore", strict=True)
    bytes: Annotated[int, Field(ge=0)]
    sha256: Hash


class Manifest(BaseModel):
    """The archive's own account of what it holds."""

    model_config = ConfigDict(extra="ignore", strict=True)
    format: Literal["discover-campaign"]
    version: int
    campaign: Annotated[str, StringConstraints(pattern=f"^(?:{NAME.pattern})$")]
    uid: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{1,64}$")]
    created: Annotated[str, StringConstraints(max_length=40)]
    events: Annotated[int, Field(ge=1)]
    chain: Hash
    snapshots: list[Hash]
    files: dict[str, File]


def unpack(path: Path, folder: Path, limit: int = LIMIT) -> Manifest:
    """Unpack an archive into a folder; every file has the size and the hash that the manifest tells of.

    InvalidInput, in words, for whatever else it may be: truncated, altered, encrypted, with other names than an archive's,
    larger than `limit`, or of a newer format.
    """
    with _opened(path) as (archive, members, manifest):
        _check_names(path, manifest, members, limit)
        for name, told in manifest.files.items():
            extract(path, archive, members[name], told, folder / name)
        return manifest


def manifest_of(path: Path) -> Manifest:
    """What an archive says that it holds; its files are not read."""
    with _opened(path) as (_, _, manifest):
        return manifest


@contextmanager
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo], Manifest]]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(path, archive)
            yield archive, members, _manifest(path, archive, members)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, UnicodeError) as error:
        what = f"it is not a whole zip archive: {error}"
        raise _refused(path, what, "it was cut or altered on its way: fetch it once more") from error
    except OSError as error:
        raise _refused(path, f"it cannot be read: {error.strerror or error}") from error


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    problems = []
    if len(archive.infolist()) > MEMBERS:
        raise _refused(path, f"it holds {len(archive.infolist()):,} files, more than a campaign has")
    if "backup.json" in archive.namelist():
        raise _refused(path, "it is the backup of a whole store", "bring it back with 'discover restore'")
    for member in archive.infolist():
        mode = member.external_attr >> 16
        if member.filename in found:
            problems.append(Problem("stands twice in the archive", value=member.filename))
        elif member.filename != MANIFEST and not NAMES.fullmatch(member.filename):
            problems.append(Problem("no campaign's archive holds such a file", value=member.filename))
        elif mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            problems.append(Problem("is a link or something else that is no file", value=member.filename))
        elif member.flag_bits & 0x1:
            problems.append(Problem("is encrypted", value=member.filename))
        found[member.filename] = member
    if problems:
        raise InvalidInput(f"archive {path}", problems)
    return found


def _manifest(path: Path, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]) -> Manifest:
    if MANIFEST not in members:
        raise _refused(path, f"it has no {MANIFEST}", "is it the file that 'discover export' wrote?")
    with archive.open(members[MANIFEST]) as file:
        text = file.read(HEAD + 1)
    if len(text) > HEAD:
        raise _refused(path, f"its {MANIFEST} is larger than {HEAD >> 20} MB")
    try:
        body: Any = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise _refused(path, f"its {MANIFEST} is not JSON: {error}") from error
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise _refused(path, "it is not the archive of a campaign", "is it the file that 'discover export' wrote?")
    if not isinstance(body.get("version"), int) or body["version"] > VERSION:
        told = f"its format is {body.get('version')!r}, this program reads up to {VERSION}"
        raise _refused(path, told, "update discover")
    try:
        return Manifest.model_validate(body)
    except ValidationError as error:
        problems = [
            Problem(f"{MANIFEST}: {'.'.join(map(str, e['loc']))}: {e['msg']}") for e in error.errors(include_url=False)
        ]
        raise InvalidInput(f"archive {path}", problems) from error


def _check_names(path: Path, manifest: Manifest, members: Mapping[str, zipfile.ZipInfo], limit: int) -> None:
    needed = {
        EVENTS,
        *(f"snapshots/{digest}{suffix}" for digest in manifest.snapshots for suffix in (".parquet", ".json")),
    }
    named, there = set(manifest.files), set(members) - {MANIFEST}
    problems = [Problem("the manifest does not tell of it", value=name) for name in sorted(there - named)]
    problems += [Problem("the manifest tells of it, it is not there", value=name) for name in sorted(named - there)]
    problems += [Problem("is missing", value=name) for name in sorted(needed - named - there)]
    whole = sum(told.bytes for told in manifest.files.values())
    if whole > limit:
        hint = "give a greater limit= if you trust it"
        problems.append(Problem(f"it would unpack to {whole:,} bytes, more than {limit:,}", way_out=hint))
    if problems:
        raise InvalidInput(f"archive {path}", problems)


def extract(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, told: File, target: Path) -> None:
    """One member as a file. InvalidInput if it has not the size and the hash that are told; no more than that is written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with archive.open(member) as source, target.open("wb") as file:
        for part in parts(source):
            size += len(part)
            if size > told.bytes:
                break
            digest.update(part)
            file.write(part)
    if size != told.bytes or digest.hexdigest() != told.sha256:
        raise _refused(path, f"{member.filename} is not the file that the manifest tells of", "fetch the archive anew")


def _refused(path: Path, what: str, way_out: str = "") -> InvalidInput:
    return InvalidInput(f"archive {path}", [Problem(what, way_out=way_out)])
