"""A note about a file counts while the file is the same, and not a moment longer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from discover import stamps
from discover.stamps import note, sound, stamp_of, told_of, unchanged


@pytest.fixture
def noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A file and a note about it, as if the file had been written long ago."""
    monkeypatch.setattr(stamps, "TICK", 0.0)
    file, where = tmp_path / "file", tmp_path / "notes" / "note.json"
    file.write_bytes(b"12345678")
    note(where, {"hash": "abc"}, stamp_of(file))
    return file, where


def test_a_file_that_nobody_touched_is_unchanged(noted: tuple[Path, Path]) -> None:
    assert unchanged(*noted)
    assert told_of(noted[1])["hash"] == "abc"


@pytest.mark.parametrize(
    "change", ["byte", "byte and clock", "replaced", "linked", "shorter", "gone", "no note", "bad note"]
)
def test_whatever_happens_to_it_shows(change: str, noted: tuple[Path, Path]) -> None:
    file, where = noted
    before = file.stat()
    if change.startswith("byte"):
        with file.open("r+b") as open_file:
            open_file.write(b"2")
    if change == "byte and clock":
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert file.stat().st_mtime_ns == before.st_mtime_ns
    if change == "replaced":
        other = file.with_name("other")
        other.write_bytes(b"12345678")
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.replace(file)
    if change == "linked":
        os.link(file, file.with_name("second name"))
    if change == "shorter":
        os.truncate(file, 7)
    if change == "gone":
        file.unlink()
    if change == "no note":
        where.unlink()
    if change == "bad note":
        where.write_text("[1]")
    assert not unchanged(file, where)


def test_a_note_that_was_made_at_once_does_not_count_for_the_next_write_may_fall_into_the_same_tick(
    tmp_path: Path,
) -> None:
    file, where = tmp_path / "file", tmp_path / "note.json"
    file.write_bytes(b"1")
    note(where, {}, stamp_of(file))
    assert not unchanged(file, where)
    later = file.stat().st_ctime_ns + int(3e9)
    os.utime(where, ns=(later, later))
    assert unchanged(file, where)


def test_a_look_is_taken_once_and_again_after_a_change(noted: tuple[Path, Path]) -> None:
    file, where = noted
    where.unlink()
    looks: list[bytes] = []

    def look() -> bool:
        looks.append(file.read_bytes())
        return looks[-1].startswith(b"1")

    assert [sound(file, where, look) for _ in range(3)] == [True] * 3
    assert len(looks) == 1
    file.write_bytes(b"2")
    assert [sound(file, where, look) for _ in range(2)] == [False] * 2
    assert len(looks) == 3, "what is not sound is not noted"
