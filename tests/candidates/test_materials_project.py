"""The Materials Project source where the service is well: what a snapshot holds, and when it is used again."""

from __future__ import annotations

import json
import random
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.candidates.materials.mp_ids import canonical_id
from discover.candidates.materials.structures import structure_text
from discover.candidates.snapshots.snapshot import Snapshot
from discover.candidates.sources.materials_project.pages import PageBook
from discover.candidates.sources.materials_project.session import Fault, Runtime
from discover.candidates.sources.materials_project.source import MaterialsProject, OlderSnapshot
from discover.errors import InvalidInput, SourceIntegrityError, SourceKeyError, SourceQueryError, SourceUnavailable
from discover.protocols import CandidateSource
from tests.mp_server import KEY, MPServer, documents, edited, letters, real_documents, status

QUERY = {"band_gap": [0.5, None], "exclude_elements": ["Pb"]}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[MPServer]:
    with MPServer(documents(60)) as running:
        yield running


def source(url: str, folder: Path, query: dict[str, Any] | None = None, **options: Any) -> MaterialsProject:
    options = {
        "page_size": 20,
        "time_limit": 60.0,
        "page_time_limit": 10.0,
        "runtime": Runtime(backoff=0.001),
    } | options
    made = MaterialsProject(QUERY if query is None else query, endpoint=url, **options)
    return made.located(folder, folder)


def expected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["band_gap"] >= 0.5 and "Pb" not in row["elements"]]


def test_a_pull_is_every_row_once_under_one_spelling_of_its_id(server: MPServer, tmp_path: Path) -> None:
    snapshot = source(server.url, tmp_path, fields=("symmetry", "bulk_modulus.vrh")).pull(("structure",))
    wanted = {canonical_id(row["material_id"]): row for row in expected(server.documents)}
    assert 40 < len(wanted) < 60
    assert len(server.pages) == 3
    assert {call.params["_sort_fields"] for call in server.pages} == {"material_id"}, (
        "the service has no order of its own"
    )
    assert set(snapshot.ids) == set(wanted)
    assert all(re.fullmatch(r"mp-\d+", name) for name in snapshot.ids)
    frame = snapshot.frame(snapshot.columns).set_index("material_id")
    for name, row in wanted.items():
        cells = frame.loc[name]
        assert cells["display_id"] == row["material_id"]
        assert cells["formula"] == row["formula_pretty"]
        assert cells["band_gap"] == row["band_gap"]
        assert cells["symmetry.number"] == row["symmetry"]["number"]
        assert cells["structure"] == structure_text(row["structure"])
        assert (row["bulk_modulus"] or {}).get("vrh") == (
            None if cells.isna()["bulk_modulus.vrh"] else cells["bulk_modulus.vrh"]
        )
    assert {spelling[3].isdigit() for spelling in frame["display_id"]} == {True, False}
    assert "bulk_modulus.voigt" not in frame
    snapshot.verify()


def test_the_manifest_tells_where_the_rows_come_from_and_no_key(server: MPServer, tmp_path: Path) -> None:
    manifest = source(server.url, tmp_path).pull().manifest
    assert manifest["query"] == {"deprecated": False, "band_gap": [0.5, None], "exclude_elements": ["Pb"]}
    assert manifest["database_version"] == server.version
    assert manifest["endpoint"] == server.url
    assert manifest["licences"] == {"BY-C": manifest["rows"]}
    assert set(manifest["client"]) == {"mp-api", "emmet-core"}
    assert "10.1063/1.4812323" in manifest["citation"]
    assert manifest["retrieved_at"].startswith("20")
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY.encode() not in written
    assert all(call.headers["x-api-key"] == KEY for call in server.pages)


@pytest.mark.parametrize("page_size", [7, 1000])
def test_neither_page_size_nor_order_of_rows_changes_the_snapshot(
    page_size: int, server: MPServer, tmp_path: Path
) -> None:
    first = source(server.url, tmp_path / "a").pull()
    server.fail(edited(lambda page: random.Random(3).shuffle(page["data"])), times=100)
    other = source(server.url, tmp_path / "b", page_size=page_size).pull()
    assert other.hash == first.hash


def test_real_records_where_present(tmp_path: Path) -> None:
    rows = real_documents(400)
    if rows is None:
        pytest.skip("the records of naccarato_refractive_index are not beside this checkout")
    for row in rows:
        row["builder_meta"] = {"license": "BY-C"}
    with MPServer(rows) as server:
        query = {"elements": ["O"], "num_sites": [1, 12]}
        asked = ("band_gap", "energy_above_hull", "symmetry", "volume", "structure", "composition_reduced", "n")
        snapshot = source(server.url, tmp_path, query, fields=asked, page_size=50).pull()
    wanted = {canonical_id(row["material_id"]): row for row in rows if "O" in row["elements"] and row["nsites"] <= 12}
    assert len(wanted) > 50
    assert set(snapshot.ids) == set(wanted)
    frame = snapshot.frame(snapshot.columns).set_index("material_id")
    assert frame["band_gap"].to_dict() == {name: row["band_gap"] for name, row in wanted.items()}
    assert json.loads(frame.iloc[0]["composition_reduced"]) == wanted[frame.index[0]]["composition_reduced"]


def test_a_list_of_crystal_systems_is_several_searches_and_one_pool(server: MPServer, tmp_path: Path) -> None:
    snapshot = source(server.url, tmp_path, {"crystal_system": ["Cubic", "Trigonal"]}, page_size=8).pull()
    wanted = [row for row in server.documents if row["symmetry"]["crystal_system"] != "Hexagonal"]
    assert len(snapshot) == len(wanted) == 40


def test_too_long_a_list_of_ids_is_split_by_the_client(tmp_path: Path) -> None:
    with MPServer(documents(240)) as server:
        names = [canonical_id(row["material_id"]) for row in server.documents]
        server.fail(status(414), when=lambda call: call.params["material_ids"].count(",") > 100, times=100)
        snapshot = source(server.url, tmp_path, {"material_ids": [*names, letters(100)]}, page_size=1000).pull()
        assert len(server.pages) == 4
    assert set(snapshot.ids) == set(names)


def test_ids_that_the_database_does_not_have_are_told(server: MPServer, tmp_path: Path) -> None:
    names = [row["material_id"] for row in server.documents[:3]]
    with pytest.raises(SourceQueryError, match=r"1 of the ids asked for are not in database version .*mp-99999"):
        source(server.url, tmp_path, {"material_ids": [*names, "mp-99999"]}).pull()


def test_a_filter_that_the_service_forgets_is_applied_here(server: MPServer, tmp_path: Path) -> None:
    first = source(server.url, tmp_path / "a").pull()
    server.ignored = frozenset({"band_gap_min", "exclude_elements"})
    second = source(server.url, tmp_path / "b").pull()
    assert second.manifest["rows_served"] == 60
    assert second.manifest["left_out"] == {"query": 60 - len(first), "licence": 0}
    assert second.hash == first.hash


def test_withdrawn_rows_are_left_out_unless_asked_for(server: MPServer, tmp_path: Path) -> None:
    for row in server.documents[:7]:
        row["deprecated"] = True
    current = source(server.url, tmp_path, {"volume": [0, None]}).pull()
    withdrawn = source(server.url, tmp_path, {"volume": [0, None], "deprecated": True}).pull()
    both = source(server.url, tmp_path, {"volume": [0, None], "deprecated": None}).pull()
    assert (len(current), len(withdrawn), len(both)) == (53, 7, 60)


def test_the_moduli_are_filtered_by_the_right_field(server: MPServer, tmp_path: Path) -> None:
    frame = source(server.url, tmp_path, {"k_vrh": [20, 50]}).pull().frame()
    assert len(frame) > 10
    assert frame["bulk_modulus.vrh"].between(20, 50).all()


def test_rows_under_a_non_commercial_licence_stay_out_unless_asked_for(server: MPServer, tmp_path: Path) -> None:
    rows = expected(server.documents)
    for row in rows[:5]:
        row["builder_meta"]["license"] = "BY-NC"
    rows[5]["builder_meta"]["license"] = None
    without = source(server.url, tmp_path).pull()
    assert without.manifest["licences"] == {"BY-C": len(rows) - 6, "not stated": 1}
    assert without.manifest["left_out"]["licence"] == 5
    assert len(without) == len(rows) - 5
    assert {call.params["batch_id_not_eq"] for call in server.pages} == {"gnome_r2scan_statics"}
    whole = source(server.url, tmp_path, include_gnome=True).pull()
    assert len(whole) == len(rows)
    assert whole.manifest["licences"]["BY-NC"] == 5


def test_without_any_licence_nothing_can_be_kept_out(server: MPServer, tmp_path: Path) -> None:
    for row in server.documents:
        del row["builder_meta"]
    with pytest.raises(SourceIntegrityError, match=r"none of .* rows states its licence.*include_gnome"):
        source(server.url, tmp_path).pull()
    assert len(source(server.url, tmp_path, include_gnome=True).pull()) == len(expected(server.documents))


def test_the_same_query_of_the_same_version_is_served_from_its_snapshot(server: MPServer, tmp_path: Path) -> None:
    first = source(server.url, tmp_path).pull()
    asked = len(server.pages)
    again = source(server.url, tmp_path, {"exclude_elements": "Pb", "band_gap": (0.5, None), "volume": None}).pull()
    assert (again.hash, len(server.pages)) == (first.hash, asked)
    source(server.url, tmp_path, fields=("volume",)).pull()
    assert len(server.pages) == 2 * asked


def test_refresh_makes_a_new_snapshot_and_the_difference_can_be_told(server: MPServer, tmp_path: Path) -> None:
    from discover.candidates.snapshots.difference import difference

    made = source(server.url, tmp_path)
    old = made.pull()
    rows = expected(server.documents)
    rows[0]["band_gap"] += 1.0
    server.documents.remove(rows[1])
    server.documents.append({**rows[2], "material_id": "mp-7777777"})
    assert made.pull().hash == old.hash
    new = made.pull(refresh=True)
    told = difference(old, new)
    assert tuple(told.added) == ("mp-7777777",)
    assert tuple(told.removed) == (canonical_id(rows[1]["material_id"]),)
    assert tuple(told.changed) == (canonical_id(rows[0]["material_id"]),)
    assert made.newest() == new
    assert Snapshot.open(old.hash, old.folder).hash == old.hash


def test_a_new_database_version_is_pulled_anew(server: MPServer, tmp_path: Path) -> None:
    made = source(server.url, tmp_path)
    first = made.pull()
    asked = len(server.pages)
    server.version = "2026.11.02"
    second = made.pull()
    assert len(server.pages) == 2 * asked
    assert second.hash == first.hash
    assert second.manifest["database_version"] == "2026.11.02"
    assert [pull["database_version"] for pull in second.manifest["earlier"]] == ["2026.04.13"]
    made.pull()
    assert len(server.pages) == 2 * asked


def test_a_damaged_snapshot_is_pulled_again(server: MPServer, tmp_path: Path) -> None:
    made = source(server.url, tmp_path)
    first = made.pull()
    first.path.write_bytes(first.path.read_bytes()[:-200])
    assert made.pull().hash == first.hash
    Snapshot.open(first.hash, first.folder).verify()


def test_without_network_the_newest_snapshot_is_used_and_said_so(tmp_path: Path) -> None:
    with MPServer(documents(30)) as server:
        made = source(server.url, tmp_path, attempts=2)
        kept = made.pull()
    with pytest.warns(OlderSnapshot, match=r"not pulled now.*failed") as caught:
        assert made.pull().hash == kept.hash
    notice = caught[0].message
    assert isinstance(notice, OlderSnapshot)
    assert notice.snapshot == kept
    assert isinstance(notice.cause, SourceUnavailable)
    with pytest.raises(SourceUnavailable):
        made.pull(refresh=True)
    with pytest.raises(SourceUnavailable):
        made.pull(("volume",))


def test_without_a_key_the_newest_snapshot_is_used_and_said_so(
    server: MPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = source(server.url, tmp_path)
    kept = made.pull()
    asked = len(server.calls)
    for name in ("MP_API_KEY", "PMG_MAPI_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pymatgen.core.SETTINGS", {})
    with pytest.warns(OlderSnapshot, match="no API key"):
        assert made.pull().hash == kept.hash
    for refused in (lambda: made.pull(refresh=True), lambda: made.pull(("volume",))):
        with pytest.raises(SourceKeyError, match="set MP_API_KEY"):
            refused()
    assert len(server.calls) == asked


def test_a_pull_that_works_does_not_warn(server: MPServer, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source(server.url, tmp_path).pull()


def test_progress_counts_rows_to_the_total(server: MPServer, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    count = len(source(server.url, tmp_path).pull(progress=lambda done, total: told.append((done, total))))
    assert told == [(20, count), (40, count), (count, count)]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"material_ids": []},
        {"band_gap": [None, None]},
        {"elements": [], "deprecated": False},
        {"deprecated": False},
    ],
)
def test_an_unfiltered_pull_is_refused(query: dict[str, Any]) -> None:
    with pytest.raises(SourceQueryError, match="unfiltered"):
        MaterialsProject(query)


def test_a_misspelt_query_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(SourceQueryError, match="did you mean 'band_gap'") as caught:
        MaterialsProject({"bandgap": [0.5, None], "nsites": [1, 12]})
    assert isinstance(caught.value, InvalidInput)
    assert "did you mean 'num_sites'" in str(caught.value)


def test_misspelt_fields_are_refused_all_at_once(server: MPServer, tmp_path: Path) -> None:
    query = {"elements": ["O"], "has_props": ["elastisity"]}
    with pytest.raises(SourceQueryError) as caught:
        source(server.url, tmp_path, query, fields=("bandgap", "symmetry.nmber")).pull(("volum",))
    hints = [problem.way_out for problem in caught.value.problems]  # type: ignore[attr-defined]
    assert hints == [f"did you mean {name!r}?" for name in ("elasticity", "band_gap", "number", "volume")]
    assert not server.calls


def test_options_are_checked() -> None:
    with pytest.raises(InvalidInput, match="5 problems"):
        MaterialsProject(
            {"elements": ["O"]}, page_size=0, time_limit=0, attempts=0, page_time_limit=float("nan"), longest_wait=-1
        )
    with pytest.raises(InvalidInput, match="at most 1000"):
        MaterialsProject({"elements": ["O"]}, page_size=1001)


@pytest.mark.parametrize(
    "endpoint", ["http://api.example.org/", "ftp://x", "api.example.org", "https://user@example.org/"]
)
def test_an_endpoint_that_would_betray_the_key_is_refused(endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(SourceQueryError, match="endpoint"):
        source(endpoint, tmp_path).pull()


def test_it_is_a_source_that_a_campaign_file_can_name() -> None:
    from pydantic import TypeAdapter

    from discover.registry import load

    kind = load("discover.sources", "materials-project")
    made = TypeAdapter(kind).validate_python({"query": {"elements": ["O"]}, "fields": ["volume"], "time_limit": 60})
    assert isinstance(made, CandidateSource)
    assert made.fields == ("volume",)


@given(st.integers(0, 10**9), st.integers(0, 12))
def test_both_spellings_are_one_id(number: int, width: int) -> None:
    assert canonical_id(letters(number, width)) == canonical_id(f"mp-{number}") == f"mp-{number}"


@pytest.mark.parametrize("spelling", ["149", "ft", "", "mp-", "mp-149-Ag", "MP-149", "mp-1a"])
def test_what_is_no_id(spelling: str) -> None:
    with pytest.raises(SourceIntegrityError):
        canonical_id(spelling)


def body(rows: list[int], total: int) -> bytes:
    return json.dumps({"data": [{"material_id": f"mp-{row}"} for row in rows], "meta": {"total_doc": total}}).encode()


@given(st.permutations(range(30)), st.integers(1, 40), st.data())
def test_pages_are_whole_exactly_if_every_row_came_once(order: list[int], limit: int, data: st.DataObject) -> None:
    wrong = data.draw(st.booleans())
    served = list(order)
    if wrong:
        place, other = data.draw(st.lists(st.integers(0, 29), min_size=2, max_size=2, unique=True))
        served[place] = served[other]
    book, faults = PageBook(), 0
    for skip in range(0, 30, limit):
        try:
            book.accept({"_skip": skip, "_limit": limit}, body(served[skip : skip + limit], 30))
        except Fault:
            faults += 1
    if wrong:
        assert faults
        with pytest.raises(SourceIntegrityError):
            book.check_whole(30)
    else:
        assert not faults
        book.check_whole(30)
        with pytest.raises(SourceIntegrityError):
            book.check_whole(29)
