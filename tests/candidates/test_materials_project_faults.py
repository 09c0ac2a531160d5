"""Every fault that the service or the way to it can have: a whole pool, or a loud error of the right kind, in time."""

from __future__ import annotations

import gc
import gzip
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from discover.candidates.materials_project import MaterialsProject
from discover.candidates.mp_ids import canonical_id
from discover.candidates.mp_session import Runtime
from discover.errors import (
    SourceError,
    SourceIntegrityError,
    SourceKeyError,
    SourceQueryError,
    SourceUnavailable,
)
from tests import mp_server
from tests.mp_server import KEY, Call, Fault, MPServer, documents, edited, letters, raw, replaced, status

QUERY = {"band_gap": [0.5, None]}
ALWAYS = 1000


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module", autouse=True)
def client() -> None:
    """The client's import takes seconds; no time limit here shall count them."""
    import mp_api.client.routes.materials.summary  # noqa: F401


@pytest.fixture
def server() -> Iterator[MPServer]:
    """A port may be one that an earlier test had; the client remembers heartbeats by address."""
    from mp_api.client.core.client import BaseRester

    BaseRester._get_heartbeat_info.cache_clear()
    with MPServer(documents(60)) as running:
        yield running


def source(
    server: MPServer | str, folder: Path, query: dict[str, Any] | None = None, **options: Any
) -> MaterialsProject:
    url = server if isinstance(server, str) else server.url
    options = {
        "page_size": 20,
        "time_limit": 60.0,
        "page_time_limit": 10.0,
        "runtime": Runtime(backoff=0.001),
    } | options
    made = MaterialsProject(QUERY if query is None else query, endpoint=url, **options)
    return made.located(folder, folder)


def wanted(server: MPServer) -> set[str]:
    return {canonical_id(row["material_id"]) for row in server.documents if row["band_gap"] >= 0.5}


def nothing_was_kept(folder: Path) -> bool:
    return not list(folder.rglob("*.parquet")) and not list(folder.rglob("*.page"))


def second(call: Call) -> bool:
    """The page after the first."""
    return call.params.get("_skip") == "20"


def set_total(total: Any) -> Callable[[dict[str, Any]], None]:
    return lambda page: page["meta"].update(total_doc=total)


def repeat_first_page(server: MPServer) -> Fault:
    return lambda handler, call: handler.send_json(server.page({**call.params, "_skip": "0"}))


def both_spellings(page: dict[str, Any]) -> None:
    first = canonical_id(page["data"][0]["material_id"])
    other = letters(int(first[3:])) if page["data"][0]["material_id"] == first else first
    page["data"][1]["material_id"] = other


def other_spelling_of_an_earlier_row(server: MPServer) -> Fault:
    earlier = next(
        row["material_id"]
        for row in sorted(server.documents, key=lambda row: str(row["material_id"]))
        if row["band_gap"] >= 0.5
    )
    number = int(canonical_id(earlier)[3:])
    spelling = f"mp-{number}" if earlier != f"mp-{number}" else letters(number)
    return edited(lambda page: page["data"][3].update(material_id=spelling))


CONTRADICTIONS: dict[str, tuple[Callable[[MPServer], Fault], str]] = {
    "a page is repeated": (repeat_first_page, "came twice"),
    "a page is empty": (lambda s: edited(lambda p: p["data"].clear()), "rows 21 to 40 of 52 were due and none came"),
    "a page is short": (lambda s: edited(lambda p: p["data"].pop()), "were due and 19 came"),
    "a page is too long": (
        lambda s: edited(lambda p: p["data"].append({"material_id": "mp-1"})),
        "were due and 21 came",
    ),
    "a row is repeated": (lambda s: edited(lambda p: p["data"].__setitem__(4, p["data"][3])), "came twice"),
    "both spellings in one page": (lambda s: edited(both_spellings), "came twice, as 'mp-.*' and 'mp-.*'"),
    "both spellings in two pages": (other_spelling_of_an_earlier_row, "came twice, as 'mp-.*' and 'mp-.*'"),
    "no meta": (lambda s: edited(lambda p: p.pop("meta")), "does not say how many rows"),
    "meta is a list": (lambda s: edited(lambda p: p.update(meta=[])), "does not say how many rows"),
    "no total": (lambda s: edited(lambda p: p["meta"].pop("total_doc")), "does not say how many rows"),
    "the total is null": (lambda s: edited(set_total(None)), "does not say how many rows"),
    "the total is a text": (lambda s: edited(set_total("52")), "does not say how many rows"),
    "the total is negative": (lambda s: edited(set_total(-1)), "does not say how many rows"),
    "the total is true": (lambda s: edited(set_total(True)), "does not say how many rows"),
    "the total grows": (lambda s: edited(set_total(55)), "total changed from 52 to 55"),
    "the total shrinks": (lambda s: edited(set_total(41)), "total changed from 52 to 41"),
    "no data": (lambda s: edited(lambda p: p.pop("data")), "no list of rows"),
    "data is an object": (lambda s: edited(lambda p: p.update(data={})), "no list of rows"),
    "data is null": (lambda s: edited(lambda p: p.update(data=None)), "no list of rows"),
    "a list instead of a page": (lambda s: replaced(lambda p: [p]), "no list of rows"),
    "a row is null": (lambda s: edited(lambda p: p["data"].__setitem__(2, None)), "row 2 of a page has no material_id"),
    "a row has no id": (lambda s: edited(lambda p: p["data"][2].pop("material_id")), "row 2 of a page has no"),
    "an id is null": (lambda s: edited(lambda p: p["data"][2].update(material_id=None)), "row 2 of a page has no"),
    "an id is a number": (lambda s: edited(lambda p: p["data"][2].update(material_id=149)), "row 2 of a page has no"),
    "an id is none": (lambda s: edited(lambda p: p["data"][2].update(material_id="Si")), "'Si' is not a Materials"),
    "the body is no JSON": (lambda s: raw(b"<html>maintenance</html>"), "not JSON, or was cut.*<html>"),
    "the body is empty": (lambda s: raw(b""), "not JSON, or was cut"),
    "the body is cut": (lambda s: mp_server.cut, "not JSON, or was cut"),
    "the body is not text": (lambda s: raw(b"\xff\xfe{}"), "not JSON"),
    "206": (lambda s: status(206), "answered 206"),
    "a number is NaN": (
        lambda s: raw(b'{"data": [{"material_id": "mp-1", "n": NaN}], "meta": {"total_doc": 52}}'),
        "not JSON",
    ),
}

OUTAGES: dict[str, tuple[Callable[[MPServer], Fault], str]] = {
    **{
        f"{code}": (lambda s, code=code: status(code), f"answered {code}")
        for code in (408, 429, 500, 502, 503, 504, 520)
    },  # type: ignore[misc]
    "429 with Retry-After": (lambda s: status(429, Retry_After="0"), "answered 429"),
    "503 with Retry-After": (lambda s: status(503, Retry_After="0"), "answered 503"),
    "429 with an odd Retry-After": (lambda s: status(429, Retry_After="soon"), "answered 429"),
    "the connection drops": (lambda s: mp_server.drop, "connection failed"),
    "the body breaks off": (lambda s: mp_server.truncate, "connection failed"),
    "a redirection": (
        lambda s: status(302, Location="http://elsewhere.example/login"),
        "redirecting to 'elsewhere.example'",
    ),
}

SILENCES: dict[str, Fault] = {
    "no answer": mp_server.hang,
    "the head trickles": mp_server.trickle("head"),
    "the body trickles": mp_server.trickle("body"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_that_stays_is_an_integrity_error(name: str, server: MPServer, tmp_path: Path) -> None:
    make, told = CONTRADICTIONS[name]
    server.fail(make(server), when=second, times=ALWAYS)
    with pytest.raises(SourceIntegrityError, match=told):
        source(server, tmp_path).pull()
    assert nothing_was_kept(tmp_path)
    assert len(server.pages) == 3, "one more question, not more"


@pytest.mark.parametrize("third", [0, 1, 2])
def test_contradictions_that_pass_are_asked_again(third: int, server: MPServer, tmp_path: Path) -> None:
    faults = [make(server) for make, _ in CONTRADICTIONS.values()][third::3]
    for place, fault in enumerate(faults, start=1):
        server.fail(fault, when=lambda call, skip=str(4 * place): call.params.get("_skip") == skip)  # type: ignore[misc]
    snapshot = source(server, tmp_path, page_size=4).pull()
    assert set(snapshot.ids) == wanted(server)
    assert snapshot.manifest["pages"]["asked"] == 13 + len(faults)


@pytest.mark.parametrize("name", OUTAGES)
def test_an_outage_that_stays_ends_after_a_few_attempts(name: str, server: MPServer, tmp_path: Path) -> None:
    make, told = OUTAGES[name]
    server.fail(make(server), when=second, times=ALWAYS)
    with pytest.raises(SourceUnavailable, match=told):
        source(server, tmp_path, attempts=3).pull()
    assert len(server.pages) == (2 if "redirect" in name else 4)
    assert not list(tmp_path.rglob("*.parquet"))


def test_bursts_are_survived(server: MPServer, tmp_path: Path) -> None:
    faults = [make(server) for name, (make, _) in OUTAGES.items() if "redirect" not in name]
    for place, fault in enumerate(faults):
        skip = str(4 * place) if place else None
        server.fail(fault, when=lambda call, skip=skip: call.params.get("_skip") == skip, times=4)  # type: ignore[misc]
    assert set(source(server, tmp_path, page_size=4).pull().ids) == wanted(server)
    assert len(server.pages) == 13 + 4 * len(faults)


@pytest.mark.parametrize("name", SILENCES)
def test_silence_is_cut_and_asked_again(name: str, server: MPServer, tmp_path: Path) -> None:
    server.fail(SILENCES[name], when=second)
    started = time.monotonic()
    assert set(source(server, tmp_path, page_time_limit=0.3).pull().ids) == wanted(server)
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("name", SILENCES)
def test_silence_that_stays_ends_at_the_time_limit(name: str, server: MPServer, tmp_path: Path) -> None:
    server.fail(SILENCES[name], when=second, times=ALWAYS)
    started = time.monotonic()
    with pytest.raises(SourceUnavailable, match=r"time limit of 1 s|no whole answer"):
        source(server, tmp_path, time_limit=1.0, page_time_limit=30.0).pull()
    assert time.monotonic() - started < 10


def test_the_time_limit_is_for_the_whole_pull_and_the_next_one_goes_on(server: MPServer, tmp_path: Path) -> None:
    """By a clock that ticks once a request: the heartbeat and four pages fit into one pull, eleven pages into three."""
    made = source(
        server, tmp_path, page_size=5, time_limit=5.5, runtime=Runtime(lambda: float(len(server.calls)), backoff=0.0)
    )
    for kept in (4, 9):
        with pytest.raises(SourceUnavailable, match=r"time limit of 5.5 s.*Finished pages are kept"):
            made.pull()
        assert len(list(tmp_path.rglob("*.page"))) == kept
    snapshot = made.pull()
    assert set(snapshot.ids) == wanted(server)
    assert snapshot.manifest["pages"] == {"asked": 2, "resumed": 9}


def test_a_service_that_is_down(tmp_path: Path) -> None:
    with MPServer([]) as gone:
        pass
    with pytest.raises(SourceUnavailable, match=r"heartbeat.*connection failed.*attempts: 5.*[Tt]ry again"):
        source(gone, tmp_path).pull()


def test_a_name_that_no_server_has(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"connection failed|no whole answer|no trusted"):
        source("https://materials.invalid/", tmp_path, attempts=1, time_limit=5, page_time_limit=5).pull()


class Sleeps:
    """Pauses that were asked for, taken at once by a clock of its own."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.start = datetime.now(UTC).replace(microsecond=0)

    def runtime(self) -> Runtime:
        clock = lambda: time.monotonic() + sum(self.taken)  # noqa: E731
        now = lambda: self.start + timedelta(seconds=sum(self.taken))  # noqa: E731
        return Runtime(monotonic=clock, sleep=self.taken.append, now=now, chance=random.Random(1), backoff=0.5)


def test_pauses_grow_and_differ_and_are_bounded(server: MPServer, tmp_path: Path) -> None:
    server.fail(status(503), when=second, times=9)
    sleeps = Sleeps()
    source(server, tmp_path, attempts=10, time_limit=1000, runtime=sleeps.runtime()).pull()
    assert len(sleeps.taken) == 9
    for place, pause in enumerate(sleeps.taken):
        full = min(0.5 * 2**place, 30.0)
        assert full / 2 <= pause <= full
    assert len(set(sleeps.taken)) == 9


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(form: str, server: MPServer, tmp_path: Path) -> None:
    sleeps = Sleeps()
    text = "40" if form == "seconds" else format_datetime(sleeps.start + timedelta(seconds=40), usegmt=True)
    server.fail(status(429, Retry_After=text), when=second)
    source(server, tmp_path, time_limit=1000, runtime=sleeps.runtime()).pull()
    assert len(sleeps.taken) == 1
    assert 40 <= sleeps.taken[0] <= 41


def test_a_longer_pause_than_allowed_is_not_taken(server: MPServer, tmp_path: Path) -> None:
    server.fail(status(429, Retry_After="21600"), times=ALWAYS)
    sleeps = Sleeps()
    with pytest.raises(SourceUnavailable, match=r"pause of 21600 s; at most 300 s are allowed.*longest_wait"):
        source(server, tmp_path, runtime=sleeps.runtime()).pull()
    assert not sleeps.taken


def test_a_pause_beyond_the_time_limit_is_not_taken(server: MPServer, tmp_path: Path) -> None:
    server.fail(status(503, Retry_After="100"), times=ALWAYS)
    sleeps = Sleeps()
    with pytest.raises(SourceUnavailable, match=r"pause of 100 s; the time limit of 60 s.*used up"):
        source(server, tmp_path, time_limit=60, runtime=sleeps.runtime()).pull()
    assert not sleeps.taken


def test_capped_pages_are_told_with_the_page_size_that_works(tmp_path: Path) -> None:
    with MPServer(documents(60), largest_page=10) as server:
        with pytest.raises(SourceIntegrityError, match="page_size: 10"):
            source(server, tmp_path).pull()
        assert nothing_was_kept(tmp_path)
        assert set(source(server, tmp_path, page_size=10).pull().ids) == wanted(server)


def test_rows_that_move_between_pages_are_noticed(server: MPServer, tmp_path: Path) -> None:
    def shuffled(handler: Any, call: Call) -> None:
        random.Random(len(server.calls)).shuffle(server.documents)
        handler.send_json(server.page({k: v for k, v in call.params.items() if k != "_sort_fields"}))

    server.fail(shuffled, times=ALWAYS)
    with pytest.raises(SourceIntegrityError, match="came twice"):
        source(server, tmp_path).pull()
    assert nothing_was_kept(tmp_path)


@pytest.mark.parametrize("total", [20, 40])
def test_a_total_that_is_too_small_is_noticed_though_it_ends_a_page(
    total: int, server: MPServer, tmp_path: Path
) -> None:
    server.fail(edited(set_total(total)), times=ALWAYS)
    with pytest.raises(SourceIntegrityError, match="had not come"):
        source(server, tmp_path).pull()
    assert nothing_was_kept(tmp_path)
    assert len(server.pages) == 2 * total / 20, "once more from the beginning, not more"


def test_a_total_that_is_too_small_is_noticed_though_no_page_holds_more(server: MPServer, tmp_path: Path) -> None:
    def fault(handler: Any, call: Call) -> None:
        limit = min(int(call.params["_limit"]), max(1, 40 - int(call.params.get("_skip", 0))))
        page = server.page({**call.params, "_limit": str(limit)})
        page["meta"]["total_doc"] = 40
        handler.send_json(page)

    server.fail(fault, times=ALWAYS)
    with pytest.raises(SourceIntegrityError, match=r"after the last of 40 rows comes mp-\d+"):
        source(server, tmp_path).pull()
    assert nothing_was_kept(tmp_path)


def shift(server: MPServer) -> Fault:
    """A row of the first page goes and one comes at the end, so that the total stays."""

    def fault(handler: Any, call: Call) -> None:
        rows = sorted((row for row in server.documents if row["band_gap"] >= 0.5), key=lambda r: r["material_id"])
        server.documents.remove(rows[3])
        server.documents.append({**rows[4], "material_id": f"mp-zz{'abcdefgh'[len(server.pages)]}"})
        handler.answer(call)

    return fault


def test_a_row_that_moves_to_a_finished_page_is_not_lost(server: MPServer, tmp_path: Path) -> None:
    server.fail(shift(server), when=second)
    snapshot = source(server, tmp_path).pull()
    assert set(snapshot.ids) == wanted(server)
    assert (len(server.pages), len(server.checks)) == (6, 3)


def test_rows_that_keep_moving_are_an_error(server: MPServer, tmp_path: Path) -> None:
    server.fail(shift(server), when=second, times=ALWAYS)
    with pytest.raises(SourceIntegrityError, match=r"mp-\d+ had not come and mp-\d+ are gone"):
        source(server, tmp_path).pull()
    assert len(server.pages) == 6
    assert nothing_was_kept(tmp_path)


def test_the_closing_check_asks_for_ids_alone_and_for_one_row_past_the_last(server: MPServer, tmp_path: Path) -> None:
    source(server, tmp_path).pull()
    page = server.pages[0].params
    same = {name: value for name, value in page.items() if name not in ("_fields", "_limit", "_skip")}
    assert [call.params for call in server.checks] == [
        {**same, "_fields": "material_id", "_skip": skip, "_limit": limit}
        for skip, limit in (("0", "1000"), ("52", "1"))
    ]


def test_a_fault_in_the_closing_check_is_asked_again_and_one_that_stays_is_an_error(
    server: MPServer, tmp_path: Path
) -> None:
    alone = lambda call: call.params.get("_fields") == "material_id"  # noqa: E731
    for fault in (status(503), raw(b"<html>"), mp_server.drop):
        server.fail(fault, when=alone)
    assert set(source(server, tmp_path / "a").pull().ids) == wanted(server)
    server.fail(status(503), when=alone, times=ALWAYS)
    with pytest.raises(SourceUnavailable, match=r"closing check.*answered 503"):
        source(server, tmp_path / "b", attempts=2).pull()
    assert not list((tmp_path / "b").rglob("*.parquet"))


def test_a_wrong_total_from_the_start(server: MPServer, tmp_path: Path) -> None:
    server.fail(edited(set_total(75)), times=ALWAYS)
    with pytest.raises(SourceIntegrityError, match=r"were due and 12 came"):
        source(server, tmp_path).pull()
    assert nothing_was_kept(tmp_path)


def test_a_query_that_nothing_fits(server: MPServer, tmp_path: Path) -> None:
    with pytest.raises(SourceQueryError, match=r"no material fits.*Widen"):
        source(server, tmp_path, {"band_gap": [90, None]}).pull()
    assert nothing_was_kept(tmp_path)


# --- the key


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
    monkeypatch.setattr("discover.candidates.mp_session.LARGEST_BODY", 2 * 1024**2)
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


# --- the query, as the service sees it


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


# --- the heartbeat


def beat(**changes: Any) -> Fault:
    body = {"version": "0.87.3", "db_version": "2026.04.13", "access_controlled_batch_ids": []} | changes
    return lambda handler, call: handler.send_json({k: v for k, v in body.items() if v != "absent"})


def beats(server: MPServer) -> int:
    return sum("heartbeat" in call.path for call in server.calls)


HEARTBEATS: dict[str, tuple[Fault, type[SourceError], str]] = {
    "500": (status(500), SourceUnavailable, "answered 500"),
    "503 for hours": (status(503, Retry_After="7200"), SourceUnavailable, "pause of 7200 s"),
    "403": (status(403), SourceUnavailable, "answered 403: the service is closed"),
    "404": (status(404), SourceUnavailable, "endpoint is not that of its API"),
    "401": (status(401), SourceKeyError, "refused the API key"),
    "a drop": (mp_server.drop, SourceUnavailable, "connection failed"),
    "a redirection": (status(301, Location="/login"), SourceUnavailable, "redirecting"),
    "no JSON": (raw(b"<html>"), SourceIntegrityError, "not JSON"),
    "a list": (raw(b"[]"), SourceIntegrityError, "does not tell db_version"),
    "no version": (beat(db_version="absent"), SourceIntegrityError, "does not tell db_version"),
    "a null version": (beat(db_version=None), SourceIntegrityError, "db_version is None"),
    "an empty version": (beat(db_version=""), SourceIntegrityError, "db_version is ''"),
    "no batches": (beat(access_controlled_batch_ids="absent"), SourceIntegrityError, "access_controlled_batch_ids"),
}


@pytest.mark.parametrize("name", HEARTBEATS)
def test_a_bad_heartbeat_is_a_typed_error(name: str, server: MPServer, tmp_path: Path) -> None:
    fault, error, told = HEARTBEATS[name]
    server.fail(fault, heartbeat=True, times=ALWAYS)
    with pytest.raises(error, match=told):
        source(server, tmp_path).pull()
    assert not server.pages


@pytest.mark.parametrize("name", ["500", "a drop", "no JSON", "no version"])
def test_a_bad_heartbeat_that_passes_is_asked_again(name: str, server: MPServer, tmp_path: Path) -> None:
    """Ours before the pull, the client's own, and ours after it."""
    server.fail(HEARTBEATS[name][0], heartbeat=True, when=lambda call: beats(server) in (1, 3, 5), times=3)
    assert set(source(server, tmp_path).pull().ids) == wanted(server)
    assert beats(server) == 6


@pytest.mark.parametrize(
    ("which", "name"),
    [
        (1, "no answer"),
        (1, "the head trickles"),
        (1, "the body trickles"),
        (2, "no answer"),
        (2, "the head trickles"),
        (3, "no answer"),
    ],
)
def test_a_silent_heartbeat_is_cut(which: int, name: str, server: MPServer, tmp_path: Path) -> None:
    """Ours before the pull, the client's own, and ours after it."""
    server.fail(SILENCES[name], heartbeat=True, when=lambda call: beats(server) >= which, times=ALWAYS)
    started = time.monotonic()
    with pytest.raises(SourceUnavailable, match=r"heartbeat.*attempts: 2"):
        source(server, tmp_path, attempts=2, page_time_limit=0.7).pull()
    assert beats(server) == which + 1
    assert time.monotonic() - started < 15


def test_the_time_limit_counts_the_heartbeat(server: MPServer, tmp_path: Path) -> None:
    server.fail(mp_server.hang, heartbeat=True, times=ALWAYS)
    started = time.monotonic()
    with pytest.raises(SourceUnavailable, match=r"time limit of 0.5 s"):
        source(server, tmp_path, time_limit=0.5, page_time_limit=30).pull()
    assert time.monotonic() - started < 10


# --- the database changes


def test_a_version_that_changes_during_a_pull_starts_it_once_more(server: MPServer, tmp_path: Path) -> None:
    def release(handler: Any, call: Call) -> None:
        server.version = "2026.11.02"
        server.documents[:] = server.documents[:-5]
        handler.answer(call)

    server.fail(release, when=lambda call: call.params.get("_skip") == "40")
    snapshot = source(server, tmp_path).pull()
    assert set(snapshot.ids) == wanted(server)
    assert snapshot.manifest["database_version"] == "2026.11.02"
    assert not list(tmp_path.rglob("*.page"))


def test_a_version_that_keeps_changing_is_an_error(server: MPServer, tmp_path: Path) -> None:
    def release(handler: Any, call: Call) -> None:
        server.version += "x"
        handler.answer(call)

    server.fail(release, when=second, times=ALWAYS)
    with pytest.raises(SourceIntegrityError, match="changed from version .* to .* during the pull"):  # noqa: RUF043
        source(server, tmp_path).pull()
    assert len(server.pages) == 6
    assert nothing_was_kept(tmp_path)


# --- going on from finished pages


def interrupted(server: MPServer, folder: Path) -> MaterialsProject:
    """A source whose first pull failed at its third page."""
    made = source(server, folder, attempts=2)
    server.fail(status(500), when=lambda call: call.params.get("_skip") == "40", times=2)
    with pytest.raises(SourceUnavailable, match="finished pages are kept"):
        made.pull()
    assert len(list(folder.rglob("*.page"))) == 2
    return made


def test_a_pull_goes_on_where_the_last_one_stopped(server: MPServer, tmp_path: Path) -> None:
    made = interrupted(server, tmp_path)
    asked = len(server.pages)
    snapshot = made.pull()
    assert [call.params["_skip"] for call in server.pages[asked:]] == ["40"]
    assert set(snapshot.ids) == wanted(server)
    assert snapshot.manifest["pages"] == {"asked": 1, "resumed": 2}
    assert not (tmp_path / "snapshots" / ".unfinished").exists()
    assert source(server, tmp_path / "other").pull().hash == snapshot.hash


def test_pages_of_another_version_are_not_used(server: MPServer, tmp_path: Path) -> None:
    made = interrupted(server, tmp_path)
    asked = len(server.pages)
    server.version = "2026.11.02"
    made.pull()
    assert len(server.pages) - asked == 3
    assert not (tmp_path / "snapshots" / ".unfinished").exists()


def test_pages_that_are_damaged_or_old_are_not_used(server: MPServer, tmp_path: Path) -> None:
    made = interrupted(server, tmp_path)
    asked = len(server.pages)
    damaged = next(tmp_path.rglob("*.page"))
    damaged.write_bytes(damaged.read_bytes().replace(b"formula_pretty", b"formula_prettX"))
    made.pull()
    assert len(server.pages) - asked == 2
    (tmp_path / "other").mkdir()
    interrupted(server, tmp_path / "other")
    asked = len(server.pages)
    tomorrow = Runtime(backoff=0.001, now=lambda: datetime.now(UTC) + timedelta(hours=25))
    source(server, tmp_path / "other", runtime=tomorrow).pull()
    assert len(server.pages) - asked == 3


def test_pages_that_no_longer_fit_are_dropped_and_the_pull_starts_over(server: MPServer, tmp_path: Path) -> None:
    made = interrupted(server, tmp_path)
    asked = len(server.pages)
    server.documents[:] = server.documents[:-5]
    snapshot = made.pull()
    assert set(snapshot.ids) == wanted(server)
    assert snapshot.manifest["pages"] == {"asked": 3, "resumed": 0}
    assert len(server.pages) - asked > 3


# --- fields


def change(server: MPServer, edit: Callable[[dict[str, Any]], Any], rows: slice = slice(20, 21)) -> str:
    """Edit some documents; the id of the first."""
    for row in server.documents[rows]:
        edit(row)
    return canonical_id(server.documents[rows][0]["material_id"])


MISTYPED: dict[str, tuple[dict[str, Any], str]] = {
    "a text for a number": ({"volume": "12.5"}, r"field 'volume' holds \"12.5\", expected a number"),
    "true for a number": ({"volume": True}, "field 'volume' holds true, expected a number"),
    "a list for a number": ({"volume": [1.0]}, "field 'volume' holds .*, expected a number"),
    "a fraction for a count": ({"nsites": 2.5}, "field 'nsites' holds 2.5, expected a whole number"),
    "a text for a flag": ({"theoretical": "no"}, r"field 'theoretical' holds \"no\", expected true or false"),
    "a number for a text": ({"chemsys": 7}, "field 'chemsys' holds 7, expected a text"),
    "a text for a list": ({"elements": "O"}, r"field 'elements' holds \"O\", expected a list"),
    "a text for symmetry": ({"symmetry": "Fm-3m"}, r"field 'symmetry' holds \"Fm-3m\", expected an object"),
    "a text within symmetry": (
        {"symmetry": {"number": "225"}},
        r"field 'symmetry.number' holds \"225\", expected a whole",
    ),
    "negative amounts": ({"composition_reduced": {"O": -1}}, "field .* expected positive amounts"),
    "half a structure": ({"structure": {"sites": []}}, "field 'structure' holds .*not a crystal structure"),
    "atomic numbers": ({"elements": [14, 8]}, r"field 'elements' holds \[14, 8\], expected a list of element symbols"),
    "small letters": ({"elements": ["si", "o"]}, "field 'elements' holds .*, expected a list of element symbols"),
    "null among elements": ({"elements": ["O", None]}, "field 'elements' holds .*null.*, expected a list of element"),
    "objects for elements": ({"elements": [{"O": 1}]}, "field 'elements' holds .*, expected a list of element symbols"),
    "lists within elements": ({"elements": [["O"]]}, "field 'elements' holds .*, expected a list of element symbols"),
    "numbers for species": ({"possible_species": [1]}, "field 'possible_species' holds .*, expected a list of texts"),
    "a text for a modulus": ({"bulk_modulus": {"vrh": "about 20"}}, "field 'bulk_modulus.vrh' holds .*, expected a n"),
    "an object for a modulus": ({"bulk_modulus": {"vrh": {"x": 1}}}, "field 'bulk_modulus.vrh' holds .*, expected a n"),
    "a text for a property": ({"has_props": {"dielectric": "false"}}, "field 'has_props.dielectric' holds .*, expecte"),
    "an odd crystal system": (
        {"symmetry": {"crystal_system": "cubic"}},
        r"field 'symmetry.crystal_system' holds \"cubic\", expected one of Triclinic, .*Cubic",
    ),
    "far too many sites": (
        {"nsites": 1e308},
        r"field 'nsites' holds 1e\+308, expected a whole number, at most 2\*\*53",
    ),
    "more sites than 64 bits": ({"nsites": 10**19}, "field 'nsites' holds 10000000000000000000, expected a whole"),
    "too few elements": ({"nelements": 9}, "field 'nelements' says 9, but there are"),
    "too few sites": ({"nsites": 99}, "field 'nsites' says 99, but there are"),
}
BESIDE = {"nelements": ("elements",), "nsites": ("structure",)}


@pytest.mark.parametrize("name", MISTYPED)
def test_a_mistyped_field_is_told_with_id_field_and_value(name: str, server: MPServer, tmp_path: Path) -> None:
    changes, told = MISTYPED[name]
    owner = change(server, lambda row: row.update(changes))
    with pytest.raises(SourceIntegrityError, match=f"{owner}: {told}"):
        source(server, tmp_path, fields=(*changes, *BESIDE.get(next(iter(changes)), ()))).pull()
    assert nothing_was_kept(tmp_path)


JUDGED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "elements as numbers": ({"elements": ["O"]}, {"elements": [14, 8]}, "field 'elements' holds"),
    "elements in small letters": ({"exclude_elements": ["Si"]}, {"elements": ["si", "o"]}, "field 'elements' holds"),
    "null among elements": ({"elements": ["O"]}, {"elements": ["O", None]}, "field 'elements' holds"),
    "objects for elements": ({"elements": ["O"]}, {"elements": [{}]}, "field 'elements' holds"),
    "a modulus in words": (
        {"k_vrh": [20, 50]},
        {"bulk_modulus": {"vrh": "about 20"}},
        "field 'bulk_modulus.vrh' holds",
    ),
    "a modulus as text": ({"k_vrh": [20, 50]}, {"bulk_modulus": {"vrh": "30"}}, "field 'bulk_modulus.vrh' holds"),
    "a modulus as object": ({"k_vrh": [20, 50]}, {"bulk_modulus": {"vrh": {"x": 1}}}, "field 'bulk_modulus.vrh' holds"),
    "no such modulus": ({"k_vrh": [20, 50]}, {"bulk_modulus": {"voigt": 30.0}}, "field 'bulk_modulus.vrh'.* is absent"),
    "no such property": ({"has_props": ["dielectric"]}, {"has_props": {}}, "field 'has_props.dielectric'.* is absent"),
    "a property in words": (
        {"has_props": ["dielectric"]},
        {"has_props": {"dielectric": "false"}},
        "field 'has_props.dielectric' holds",
    ),
    "a small crystal system": (
        {"crystal_system": ["Cubic"]},
        {"symmetry": {"crystal_system": "cubic"}},
        "field 'symmetry.crystal_system' holds",
    ),
    "no space group": ({"spacegroup_number": 225}, {"symmetry": {}}, "field 'symmetry.number'.* is absent"),
    "a space group too many": (
        {"spacegroup_number": 225},
        {"symmetry": {"number": 231}},
        "'symmetry.number' holds '231'",
    ),
    "half a formula": ({"formula": ["*2O3", "ABO3"]}, {"formula_pretty": "((("}, r"field 'formula' holds '\(\(\('"),
    "a system of questions": ({"chemsys": ["Si-O"]}, {"chemsys": "??"}, "field 'chemsys' holds"),
}


@pytest.mark.parametrize("name", JUDGED)
def test_a_row_that_cannot_be_judged_is_never_dropped_silently(name: str, server: MPServer, tmp_path: Path) -> None:
    """The service lets the row through, as one does that judges by something else than it serves."""
    query, changes, told = JUDGED[name]
    words = "elements exclude_elements k_vrh_min k_vrh_max has_props crystal_system spacegroup_number formula chemsys"
    server.ignored = frozenset(words.split())
    owner = change(server, lambda row: row.update(changes))
    with pytest.raises(SourceIntegrityError, match=f"{owner}: .*{told}"):
        source(server, tmp_path, query).pull()
    assert nothing_was_kept(tmp_path)


def test_all_mistyped_fields_are_told_at_once(server: MPServer, tmp_path: Path) -> None:
    change(server, lambda row: row.update(volume="x", nsites="y"), slice(10, 40))
    with pytest.raises(SourceIntegrityError) as caught:
        source(server, tmp_path, fields=("volume", "nsites")).pull()
    assert str(caught.value).count("field 'volume'") == 5
    assert "and 50 more" in str(caught.value)


def test_null_and_absent_are_missing_values_that_are_counted(server: MPServer, tmp_path: Path) -> None:
    null = change(server, lambda row: row.update(volume=None, symmetry=None, elements=None))
    absent = change(
        server, lambda row: [row.pop(name) for name in ("volume", "symmetry", "theoretical")], slice(30, 32)
    )
    snapshot = source(server, tmp_path, fields=("volume", "symmetry", "theoretical", "elements", "nsites")).pull()
    assert set(snapshot.ids) == wanted(server)
    assert snapshot.manifest["absent"] == {"volume": 2, "symmetry": 2, "theoretical": 2}
    assert snapshot.manifest["null"] == {"volume": 1, "symmetry": 1, "elements": 1}
    frame = snapshot.frame().set_index("material_id")
    assert frame.loc[[null, absent], "volume"].isna().all()
    assert frame.loc[[null, absent], "symmetry.number"].isna().all()
    assert frame["volume"].isna().sum() == 3
    assert snapshot.manifest["columns"]["symmetry.number"] == "integer"
    assert snapshot.manifest["columns"]["theoretical"] == "flag"


def test_a_field_that_the_first_row_of_a_page_lacks_stays_with_the_others(server: MPServer, tmp_path: Path) -> None:
    first = min((row for row in server.documents if row["band_gap"] >= 0.5), key=lambda row: str(row["material_id"]))
    del first["volume"]
    frame = source(server, tmp_path, fields=("volume",)).pull().frame()
    assert frame["volume"].notna().sum() == len(wanted(server)) - 1


def test_a_field_that_no_row_has_is_an_error(server: MPServer, tmp_path: Path) -> None:
    with pytest.raises(SourceIntegrityError, match="field 'efermi' was asked for and is in none of 52 rows"):
        source(server, tmp_path, fields=("efermi",)).pull()
    with pytest.raises(SourceIntegrityError, match=r"field 'bulk_modulus.hill' was asked for"):
        source(server, tmp_path, fields=("bulk_modulus.hill",)).pull()


def test_a_row_that_lacks_the_field_it_is_judged_by_is_an_error(server: MPServer, tmp_path: Path) -> None:
    server.ignored = frozenset({"band_gap_min"})
    owner = change(server, lambda row: row.pop("band_gap"))
    with pytest.raises(SourceIntegrityError, match=f"{owner}: field 'band_gap', by which the query judges, is absent"):
        source(server, tmp_path).pull()


def test_a_row_that_is_null_where_it_is_judged_is_not_in_the_pool(server: MPServer, tmp_path: Path) -> None:
    server.ignored = frozenset({"band_gap_min"})
    owner = change(server, lambda row: row.update(band_gap=None))
    snapshot = source(server, tmp_path).pull()
    assert owner not in snapshot.ids
    assert len(snapshot) == 51


def test_threads_of_abandoned_exchanges_end(server: MPServer, tmp_path: Path) -> None:
    server.fail(SILENCES["the body trickles"], when=second, times=2)
    source(server, tmp_path, page_time_limit=0.3).pull()
    gc.collect()
    deadline = time.monotonic() + 3
    while any(thread.name == "discover-exchange" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [thread.name for thread in threading.enumerate() if thread.name == "discover-exchange"]
