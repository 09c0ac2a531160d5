"""Snapshots in places that machines share, by fsspec's own file systems: memory, files, and WebHDFS over loopback."""

from __future__ import annotations

import importlib.util
import json
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.config import conf

from discover.candidates.pool.pool import CandidatePool
from discover.candidates.snapshots.place import Place
from discover.candidates.snapshots.snapshot import Snapshot, stored
from discover.candidates.sources.snapshot import SnapshotSource
from discover.candidates.sources.table import TableSource
from discover.errors import IntegrityError, InvalidInput, StoreError, Unsupported
from tests.candidates.webhdfs_server import WebHDFSServer

PASSWORD = "correct-horse-battery"
FRAME = pd.DataFrame(
    {"id": [f"c{i:05d}" for i in range(3000)], "x": np.arange(3000) / 7, "f": ["MgO", "CaO", "BN"] * 1000}
)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebHDFSServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with WebHDFSServer(tmp_path / "elsewhere") as running:
        yield running


@pytest.fixture(params=["memory", "file", "webhdfs"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    if request.param == "memory":
        yield "memory://shared/snapshots"
        fsspec.filesystem("memory").rm("/shared", recursive=True)
    elif request.param == "file":
        yield f"file://{tmp_path}/shared/snapshots"
    else:
        with WebHDFSServer(tmp_path / "elsewhere") as running:
            yield running.url


def write(place: Place | str, frame: pd.DataFrame = FRAME, **provenance: object) -> Snapshot:
    return Snapshot.write(frame, place, id="id", provenance={"source": "test", **provenance})


def test_what_one_machine_writes_another_reads(url: str, tmp_path: Path) -> None:
    here, there = Place.of(url, tmp_path / "here"), Place.of(url, tmp_path / "there")
    assert Snapshot.newest(here) is None
    written = write(here, retrieved_at="2026-01-01T00:00:00Z")
    opened = Snapshot.open(written.hash, there)
    opened.check()
    opened.verify()
    assert opened.frame().equals(written.frame())
    assert opened.frame(["id", "x"], ["c00017"])["x"].tolist() == [17 / 7]
    newest = Snapshot.newest(there)
    assert newest is not None
    assert newest.hash == written.hash
    assert [one.hash for one in stored(there)] == [written.hash]
    assert there.modified(f"{written.hash}.json") > 0
    assert there.names() == [f"{written.hash}.json", f"{written.hash}.parquet"]  # no draft was left
    with pytest.raises(IntegrityError, match="no snapshot 000"):
        Snapshot.open("0" * 64, there)
    assert there.read("absent.json") is None
    assert there.size("absent.json") is None


def test_the_same_rows_are_written_once_and_every_pull_is_remembered(url: str, tmp_path: Path) -> None:
    place = Place.of(url, tmp_path / "cache")
    first = write(place, database="v1")
    before = place.modified(f"{first.hash}.parquet")
    second = write(place, FRAME.iloc[::-1], database="v2")
    assert second.hash == first.hash
    assert place.modified(f"{first.hash}.parquet") == before
    again = Snapshot.open(first.hash, place)
    assert again.manifest["database"] == "v2"
    assert [pull["database"] for pull in again.manifest["earlier"]] == ["v1"]
    other = write(place, FRAME.head(9))
    assert {one.hash for one in stored(place)} == {first.hash, other.hash}


def test_a_pool_goes_there_and_comes_back(url: str, tmp_path: Path) -> None:
    pool = CandidatePool.from_frame(FRAME, id="id", features=["x"], composition="f")
    saved = pool.save(Place.of(url, tmp_path / "here"))
    assert saved.hash == pool.hash
    back = CandidatePool.from_snapshot(Snapshot.open(saved.hash, Place.of(url, tmp_path / "there")), pool.spec)
    assert back.frame().equals(pool.frame())


def test_writers_of_the_same_rows_do_not_disturb_each_other(url: str, tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            write(Place.of(url, tmp_path / str(number)), FRAME.head(50), machine=str(number))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    place = Place.of(url, tmp_path / "reader")
    assert len(place.names()) == 2
    (only,) = stored(place)
    only.verify()
    assert len(only) == 50


def test_rows_that_are_not_those_of_the_hash_are_refused_and_can_be_written_again(
    server: WebHDFSServer, tmp_path: Path
) -> None:
    place = Place.of(server.url, tmp_path / "here")
    snapshot = write(place)
    there = server.folder / f"{snapshot.hash}.parquet"
    whole = there.read_bytes()

    there.write_bytes(whole[:-100])
    with pytest.raises(IntegrityError, match=r"cannot be read .*save or pull the same candidates once more"):
        _ = Snapshot.open(snapshot.hash, Place.of(server.url, tmp_path / "truncated")).ids
    assert not list((tmp_path / "truncated").glob("*.parquet")), "what is not whole is not kept"

    pq.write_table(pq.read_table(snapshot.path).set_column(2, "x", pa.array(np.zeros(3000))), there)
    with pytest.raises(IntegrityError, match="was changed: its rows hash to"):
        _ = Snapshot.open(snapshot.hash, Place.of(server.url, tmp_path / "altered")).ids
    with pytest.raises(IntegrityError, match="was changed"):
        snapshot.verify()
    assert len(Snapshot.open(snapshot.hash, place).frame()) == 3000, "the whole copy of this machine is not lost by it"

    assert write(place).hash == snapshot.hash
    Snapshot.open(snapshot.hash, Place.of(server.url, tmp_path / "fresh")).verify()

    server.cut = 1
    with pytest.raises(IntegrityError):
        _ = Snapshot.open(snapshot.hash, Place.of(server.url, tmp_path / "cut")).ids


def test_a_copy_is_fetched_once_and_again_if_it_is_not_whole(server: WebHDFSServer, tmp_path: Path) -> None:
    hash = write(Place.of(server.url, tmp_path / "here")).hash
    there = Place.of(server.url, tmp_path / "there")
    copy = there.copy(f"{hash}.parquet")

    def read() -> int:
        before = server.calls.count("OPEN")
        assert len(Snapshot.open(hash, there).ids) == 3000
        return server.calls.count("OPEN") - before

    assert read() == 2  # the manifest and the rows
    assert read() == 1  # the manifest alone
    copy.write_bytes(copy.read_bytes()[:-1])
    assert read() == 2
    body = bytearray(copy.read_bytes())
    body[200] ^= 1
    copy.write_bytes(bytes(body))
    assert read() == 2
    assert read() == 1


def test_manifests_of_before_have_no_hash_of_the_file_and_are_held_against_the_rows(tmp_path: Path) -> None:
    snapshot = write(Place.of(tmp_path / "place"))
    manifest = tmp_path / "place" / f"{snapshot.hash}.json"
    body = json.loads(manifest.read_text())
    assert body["parquet"]["bytes"] == snapshot.path.stat().st_size
    del body["parquet"]
    manifest.write_text(json.dumps(body))
    old = Snapshot.open(snapshot.hash, tmp_path / "place")
    old.check()
    table = pq.read_table(old.path)
    pq.write_table(table, old.path, compression="none")
    old.check()  # other bytes, the same rows
    snapshot.check()
    pq.write_table(table.slice(1), old.path)
    for changed in (old, snapshot):
        with pytest.raises(IntegrityError, match="was changed"):
            changed.check()


def test_without_its_manifest_there_is_no_snapshot(server: WebHDFSServer, tmp_path: Path) -> None:
    place = Place.of(server.url, tmp_path / "here")
    snapshot = write(place)
    (server.folder / f"{snapshot.hash}.json").unlink()
    assert Snapshot.newest(place) is None
    with pytest.raises(IntegrityError, match="it needs"):
        Snapshot.open(snapshot.hash, place)
    write(place)
    assert Snapshot.newest(place) is not None
    (server.folder / f"{snapshot.hash}.parquet").unlink()
    assert Snapshot.newest(place) is None
    with pytest.raises(IntegrityError, match="it needs"):
        Snapshot.open(snapshot.hash, place)


def test_names_cannot_leave_the_place(tmp_path: Path) -> None:
    snapshot = write(Place.of(tmp_path / "secret"))
    (tmp_path / "place").mkdir()
    with pytest.raises(IntegrityError, match="no snapshot"):
        Snapshot.open(f"../secret/{snapshot.hash}", tmp_path / "place")


def test_a_protocol_without_its_package_names_it(tmp_path: Path) -> None:
    fsspec.register_implementation(
        "nowhere", "no_such_package.files.Nowhere", errtxt="Install no-such to use it", clobber=True
    )
    with pytest.raises(Unsupported, match=r"nowhere://bucket/x need a package .*no_such_package.*Install no-such"):
        write(Place.of("nowhere://bucket/x", tmp_path))
    if importlib.util.find_spec("s3fs") is None:
        with pytest.raises(Unsupported, match="pip install s3fs"):
            Snapshot.newest(Place.of("s3://bucket/snapshots", tmp_path))
    with pytest.raises(StoreError, match="Protocol not known: gibberish"):
        Snapshot.newest(Place.of("gibberish://bucket/snapshots", tmp_path))


def test_a_place_that_cannot_be_reached_says_so_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(StoreError, match=r"cannot list webhdfs://127.0.0.1:9/x: .*; check the address"):
        Snapshot.newest(Place.of("webhdfs://127.0.0.1:9/x", tmp_path))
    with WebHDFSServer(tmp_path / "elsewhere") as server:
        server.refuse = "the disk is full"
        with pytest.raises(StoreError, match="the disk is full"):
            write(Place.of(server.url, tmp_path))


def test_credentials_come_from_the_environment_and_are_never_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with WebHDFSServer(tmp_path / "elsewhere", password=PASSWORD) as server:
        place = Place.of(server.url, tmp_path / "cache")
        monkeypatch.setitem(conf, "webhdfs", {"user": "robot", "password": PASSWORD})
        snapshot = write(place)
        assert len(Snapshot.open(snapshot.hash, place)) == 3000
        for told in (repr(place), str(place), repr(snapshot), json.dumps(dict(snapshot.manifest))):
            assert PASSWORD not in told
        server.refuse = f"not with {PASSWORD}"
        with pytest.raises(StoreError) as caught:
            Snapshot.open(snapshot.hash, place)
        assert PASSWORD not in "".join(traceback.format_exception(caught.value))
        assert "not with <password>" in str(caught.value)
        assert "op=" not in str(caught.value)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    "url",
    [
        f"sftp://robot:{PASSWORD}@machine/data",
        f"https://machine/data?token={PASSWORD}",
        f"simplecache::sftp://robot:{PASSWORD}@machine/data",
    ],
)
def test_an_address_that_holds_a_secret_is_refused_without_telling_it(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Place.of(url)
    assert PASSWORD not in str(caught.value)


def test_places_of_this_machine(tmp_path: Path) -> None:
    assert Place.of("data", base=tmp_path).local == tmp_path / "data"
    assert Place.of(tmp_path, base=Path("/elsewhere")).local == tmp_path
    assert Place.of(f"file://{tmp_path}").local == tmp_path
    assert Place.of("memory://a/b/").local is None
    assert Place.of("memory://a/b/").where == "memory://a/b"
    assert Place.of(Place.of("memory://a"), tmp_path).cache == tmp_path


def test_sources_keep_their_snapshots_in_a_shared_place(url: str, tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "table.csv", index=False)
    place = Place.of(url, tmp_path / "files" / "snapshots-cache")
    source = TableSource("table.csv", "id").located(tmp_path, tmp_path / "files").placed(place)
    pulled = source.pull()
    assert pulled.place == place
    assert not (tmp_path / "files" / "snapshots").exists()
    kept = source.newest()
    assert kept is not None
    assert kept.hash == pulled.hash

    shared = SnapshotSource(url).located(tmp_path, tmp_path / "other")
    assert shared.header() == ("id", "f", "x")
    assert shared.pull().frame().equals(pulled.frame())
