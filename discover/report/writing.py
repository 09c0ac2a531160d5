"""Files that appear whole or not at all, and places that are refused before any work is done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from discover.errors import InvalidInput, Problem


def check_place(path: Path, what: str) -> None:
    """InvalidInput if no file can be written at `path`: it is a folder, its folder is none, or it may not be written to."""
    draft = _draft(path)
    try:
        if path.is_dir():
            raise _refused(what, path, "is a folder", "name a file in it")
        if not path.parent.is_dir():
            raise _refused(what, path, "there is no such folder to write into", "make the folder first")
        draft.touch()
    except OSError as error:
        raise _refused(what, path, f"cannot be written: {error}") from error
    finally:
        with suppress(OSError):
            draft.unlink()


@contextmanager
def whole_file(path: Path, what: str) -> Iterator[Path]:
    """A draft beside `path` that takes its place at the end of the block, on disk for good; an error leaves `path` as it was."""
    draft = _draft(path)
    try:
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise _refused(what, path, f"cannot be written: {error}") from error
    finally:
        with suppress(OSError):
            draft.unlink()


def make_folder(folder: Path, what: str) -> None:
    """The folder, made if need be. InvalidInput if something else stands there or it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise _refused(what, folder, "is a file, a folder is needed", "name another folder") from error
    except OSError as error:
        raise _refused(what, folder, f"the folder cannot be made: {error}") from error


def _draft(path: Path) -> Path:
    return path.parent / f".{path.name}.{os.getpid()}.draft"


def _refused(what: str, path: Path, message: str, way_out: str = "") -> InvalidInput:
    return InvalidInput(what, [Problem(message, value=str(path), way_out=way_out)])
