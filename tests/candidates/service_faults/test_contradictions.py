"""Pages that contradict themselves or each other: asked for once more, then a loud error and nothing kept."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from discover.candidates.materials.mp_ids import canonical_id
from discover.errors import SourceIntegrityError, SourceQueryError, SourceUnavailable
from tests import mp_server
from tests.candidates.service_faults.asking import ALWAYS, nothing_was_kept, second, set_total, source, wanted
from tests.mp_server import Call, Fault, MPServer, documents, edited, letters, raw, replaced, status


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
