"""What the tests of faults share: a source that asks the server, what it should find, and what silence is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from discover.candidates.materials.mp_ids import canonical_id
from discover.candidates.sources.materials_project import MaterialsProject
from discover.candidates.sources.materials_project.session import Runtime
from tests import mp_server
from tests.mp_server import Call, Fault, MPServer

QUERY = {"band_gap": [0.5, None]}
ALWAYS = 1000


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


SILENCES: dict[str, Fault] = {
    "no answer": mp_server.hang,
    "the head trickles": mp_server.trickle("head"),
    "the body trickles": mp_server.trickle("body"),
}
