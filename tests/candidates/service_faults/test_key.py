"""The key: refused unasked where it is malformed, never told, never sent elsewhere; and queries that the service refuses."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from discover.errors import SourceError, SourceIntegrityError, SourceKeyError, SourceQueryError, SourceUnavailable
from tests.candidates.service_faults.asking import ALWAYS, second, source
from tests.mp_server import KEY, Call, MPServer, documents, raw, status


@pytest.mark.parametrize("value", ["short", KEY + "\n", KEY[:-1] + "é", KEY[:-1] + " "])
def test_a_malformed_key_is_refused_unasked_and_untold(
    value: str, server: MPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MP_API_KEY", value)
    with pytest.raises(SourceKeyError, match="malformed") as caught:
        source(server, tmp_path).pull()
    assert value not in str(caught.value)
    assert not server.calls


def test_a_key_that_the_service_refuses(server: MPServer, tmp_path: Path) -> None:
    made = source(server, tmp_path)
    made.pull()
    server.key = "x" * 32
    with pytest.raises(SourceKeyError, match=r"refused the API key \(401\).*set MP_API_KEY"):
        made.pull(refresh=True)
    server.fail(status(403), times=ALWAYS)
    with pytest.raises(SourceKeyError, match=r"refused the API key \(403\)"):
        made.pull(refresh=True)


def test_the_older_name_of_the_key_works(server: MPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MP_API_KEY")
    monkeypatch.setenv("PMG_MAPI_KEY", KEY)
    assert len(source(server, tmp_path).pull())


@pytest.mark.parametrize("code", [200, 400, 401])
def test_a_service_that_echoes_the_key_does_not_spread_it(code: int, server: MPServer, tmp_path: Path) -> None:
    server.fail(raw(f"oh, {KEY}".encode(), code), times=ALWAYS)
    with pytest.raises(SourceError) as caught:
        source(server, tmp_path).pull()
    error: BaseException | None = caught.value
    assert not isinstance(error, SourceUnavailable)
    while error is not None:
        assert KEY not in str(error)
        assert getattr(error, "request", None) is None
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@pytest.mark.parametrize("code", [400, 401])
@pytest.mark.parametrize("before", range(470, 500, 7))
def test_no_part_of_the_key_is_told_where_a_text_is_cut(
    code: int, before: int, server: MPServer, tmp_path: Path
) -> None:
    server.fail(raw(b"x" * before + KEY.encode(), code), times=ALWAYS)
    with pytest.raises(SourceError) as caught:
        source(server, tmp_path).pull()
    assert KEY[:4] not in str(caught.value)


ECHOES: dict[str, Callable[[dict[str, Any]], None]] = {
    "in meta": lambda page: page["meta"].update(you=KEY),
    "in a field": lambda page: page["data"][0].update(formula_pretty=KEY),
    "where a value is cut": lambda page: page["data"][0].update(formula_pretty=["x" * 60 + KEY]),
}


@pytest.mark.parametrize("name", ECHOES)
@pytest.mark.parametrize("escaped", [False, True])
def test_an_answer_that_holds_the_key_is_refused(name: str, escaped: bool, server: MPServer, tmp_path: Path) -> None:
    def fault(handler: Any, call: Call) -> None:
        page = server.page(call.params)
        ECHOES[name](page)
        text = json.dumps(page)
        handler.send_bytes((text.replace(KEY, f"\\u0030{KEY[1:]}") if escaped else text).encode())

    server.fail(fault, when=second, times=ALWAYS)
    with pytest.raises(SourceIntegrityError, match="holds the API key") as caught:
        source(server, tmp_path).pull()
    assert KEY[:8] not in str(caught.value)
    assert all(KEY.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_heartbeat_that_holds_the_key_is_refused(server: MPServer, tmp_path: Path) -> None:
    server.version = KEY
    with pytest.raises(SourceIntegrityError, match="holds the API key"):
        source(server, tmp_path).pull()
    assert not list(tmp_path.rglob("*"))


def test_an_answer_that_inflates_without_end_is_refused(
    server: MPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discover.candidates.sources.materials_project.session.LARGEST_BODY", 2 * 1024**2)
    bomb = gzip.compress(b" " * (20 * 1024**2))
    packed = [("Content-Encoding", "gzip")]
    server.fail(lambda handler, call: handler.send_bytes(bomb, 200, packed), when=second, times=ALWAYS)
    with pytest.raises(SourceIntegrityError, match="larger than 2 MB"):
        source(server, tmp_path).pull()
    assert len(server.pages) == 2, "not asked again"


def test_an_address_that_is_none_is_a_typed_error(server: MPServer, tmp_path: Path) -> None:
    server.fail(status(302, Location="http://[bad"), when=second, times=ALWAYS)
    with pytest.raises(SourceUnavailable, match="cannot be read"):
        source(server, tmp_path).pull()


def test_the_key_does_not_follow_a_redirection(server: MPServer, tmp_path: Path) -> None:
    with MPServer(documents(60)) as thief:
        server.fail(status(307, Location=f"{thief.url}materials/summary/"), times=ALWAYS)
        with pytest.raises(SourceUnavailable, match="redirecting"):
            source(server, tmp_path).pull()
        assert not thief.calls


@pytest.mark.parametrize("code", [400, 404, 414, 422])
def test_a_query_that_the_service_refuses_is_not_asked_again(code: int, server: MPServer, tmp_path: Path) -> None:
    server.fail(status(code, {"detail": "no such parameter"}), times=ALWAYS)
    with pytest.raises(SourceQueryError, match=rf"refused the query \({code}\).*no such parameter"):
        source(server, tmp_path).pull()
    assert len(server.pages) == 1


def test_ids_that_the_service_refuses_however_they_are_split(server: MPServer, tmp_path: Path) -> None:
    names = [row["material_id"] for row in server.documents]
    server.fail(status(422, {"detail": "bad id"}), times=ALWAYS)
    with pytest.raises(SourceQueryError, match="bad id"):
        source(server, tmp_path, {"material_ids": names}).pull()
    assert len(server.pages) == 2
