"""Keys and passwords are nowhere: not in the store, its files, archives, backups, reports, sheets, logs or messages."""

from __future__ import annotations

import gzip
import io
import json
import logging
import os
import urllib.parse
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from discover.cli import app
from discover.store.database.database import Database
from tests.mp_server import KEY, MPServer, documents

TEXT = """\
campaign: {name}
objective: {{target: bulk_modulus, direction: maximize, unit: GPa}}
candidates:
  kind: materials-project
  endpoint: {url}
  query: {{band_gap: [0.1, null], num_sites: [1, 30]}}
  fields: [band_gap, energy_above_hull]
features: [composition, band_gap]
policy: {{kind: {policy}, batch: 2}}
budget: {{experiments: 6}}
"""


def spellings(secret: str) -> list[bytes]:
    """A secret as it stands, quoted for a URL, and backwards: what a file might hold of it."""
    return [s.encode() for s in {secret, urllib.parse.quote(secret, safe=""), secret[::-1]}]


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """A file as it is, and as it reads: unpacked, or as the cells of a table."""
    body = path.read_bytes()
    yield str(path), body
    if path.suffix == ".parquet":
        yield f"{path} as text", pd.read_parquet(io.BytesIO(body)).to_csv().encode()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                inner = archive.read(name)
                yield f"{path}: {name}", inner
                if name.endswith(".parquet"):
                    yield f"{path}: {name} as text", pd.read_parquet(io.BytesIO(inner)).to_csv().encode()
    for unpack in (gzip.decompress, zlib.decompress):
        with suppress(OSError, zlib.error, EOFError):
            yield f"{path} unpacked", unpack(body)


def rows(url: str) -> Iterator[tuple[str, bytes]]:
    """Every cell of every table of a store, and everything that its database keeps of its own tables."""
    with closing(Database(url)) as database, database.reading() as connection:
        for table in ("campaigns", "events", "leases", "folds", "settings"):
            for row in connection.execute(text(f"SELECT * FROM {table}")).all():
                yield f"table {table}", repr(tuple(row)).encode()


@pytest.fixture
def password(store_url: str) -> str:
    """The server's password; in a store in a file there is none, and another word stands for it."""
    return urllib.parse.urlsplit(store_url).password or "no-password-at-all"


def test_keys_and_passwords_are_nowhere(store_url, password, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    home = tmp_path / "home"
    (tmp_path / "work").mkdir()
    home.mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("DISCOVER_STORE", store_url)
    said: list[str] = []

    def cli(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, list(words))
        said.append(done.output + repr(done.exception))
        assert done.exit_code == code, (done.output, done.exception)
        return done.output

    with MPServer(documents(30)) as server:
        for name, policy in (("one", "random"), ("two", "space-filling")):
            Path(f"{name}.yaml").write_text(TEXT.format(name=name, url=server.url, policy=policy))
        cli("pull", "one.yaml")
        cli("ask", "one.yaml", "-n", "3", "--out", "batch.csv")
        batch = pd.read_csv("batch.csv")
        batch.assign(bulk_modulus=[10.0, 20.0, 30.0]).to_csv("batch.csv", index=False)
        cli("tell", "one.yaml", "batch.csv")
        cli("fork", "one.yaml", "two.yaml")
        pid = batch["proposal_id"][0]
        for words in (
            ("status", "one.yaml"), ("status", "one.yaml", "--json"), ("best", "one.yaml"), ("list",),
            ("trace", "one.yaml", pid), ("trace", "one.yaml", pid, "--json"), ("replay", "one.yaml", "1"),
            ("report", "one.yaml", "--out", "report.html"), ("audit",), ("audit", "one.yaml", "--json"),
            ("export", "one.yaml", "--out", "one.zip"), ("export", "one.yaml", "--out", "one.csv"),
            ("export", "one.yaml", "--out", "one.parquet"), ("backup", "--out", "monday"),
            ("backup", "--out", "monday.zip"), ("import", "one.zip", "--store", f"sqlite:///{tmp_path}/other.db"),
        ):  # fmt: skip
            cli(*words)
        cli("import", "one.zip", code=1)
        cli("trace", "one.yaml", "nobody", code=1)
        monkeypatch.setenv("MP_API_KEY", KEY[::-1])
        cli("pull", "one.yaml", "--refresh", code=1)
        monkeypatch.setenv("MP_API_KEY", KEY)
    cli("pull", "one.yaml", "--refresh", code=1)
    for wrong in (
        store_url.replace("test_", "gone_"),
        store_url.replace("127.0.0.1", "127.0.0.9").replace(".db", "/x/y.db"),
    ):
        if wrong != store_url:
            cli("status", "one.yaml", "--store", wrong, code=1)
            cli("audit", "--store", wrong, code=1)

    told = [("what was said", "\n".join(said).encode()), ("the log", caplog.text.encode())]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 12
    assert {".html", ".parquet", ".json", ".zip", ".csv", ".yaml"} <= {path.suffix for path in files}
    found = [*told, *rows(store_url), *(one for path in files for one in contents(path))]
    assert len(found) > 40
    for secret in (KEY, password):
        leaks = [where for where, body in found if any(spelling in body for spelling in spellings(secret))]
        assert leaks == []
    assert any(b"bulk_modulus" in body for where, body in found if where == "table events"), "the search sees the cells"


NAMES = [
    *("it's", 'a "name"', "x'; DROP TABLE events; --", "../../evil", "a/b", "a\\b", "/etc/passwd", "C:\\x", "~", "."),
    *(
        "..",
        "a\nb",
        "a\0b",
        "nul\x1b[2J",
        " lead",
        "-x",
        "%2e%2e",
        "${HOME}",
        "$(touch x)",
        "`touch x`",
        "ä",
        "",
        "x" * 101,
    ),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_campaigns_name_cannot_lead_elsewhere(sqlite_url, tmp_path, name):
    from discover import Campaign, CandidatePool, Objective
    from discover.errors import CampaignNotFound, InvalidInput
    from discover.store.log.log import EventLog

    pool = CandidatePool.from_frame(pd.DataFrame({"id": ["a", "b"], "x": [1.0, 2.0]}), id="id", features=["x"])
    with pytest.raises(InvalidInput, match="not a campaign's name"):
        Campaign.create(name, objective=Objective("y"), candidates=pool, policy="random", store=sqlite_url)
    log = EventLog(sqlite_url)
    with pytest.raises(CampaignNotFound):
        Campaign.open(name, store=log)
    assert log.names() == []
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix != ".db-wal" and p.suffix != ".db-shm") == [
        "campaigns.db"
    ]


CELLS = [
    "it's",
    'a "b"',
    "x'); DROP TABLE events; --",
    "../../evil",
    "/etc/passwd",
    "=cmd()",
    "$(touch x)",
    "ä/ö",
    "a%2Fb",
]


def test_ids_and_texts_of_any_kind_are_kept_as_they_are(store_url, tmp_path):
    from discover import Campaign, CandidatePool, Objective
    from discover.provenance.archive import export_campaign
    from discover.provenance.audit import audit
    from discover.provenance.importing import import_campaign
    from discover.provenance.trace import trace

    frame = pd.DataFrame({"name": CELLS, "x": range(len(CELLS)), "note'; --": CELLS})
    pool = CandidatePool.from_frame(frame, id="name", features=["x"])
    campaign = Campaign.create("c", objective=Objective("y'; --"), candidates=pool, policy="random", store=store_url)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    batch = campaign.ask(len(CELLS), key="k'; DROP TABLE events; --/../x")
    campaign.tell(batch[["proposal_id"]].assign(**{"y'; --": 1.0, "note": CELLS, "source": CELLS}))
    campaign.exclude(CELLS[:2], reason=CELLS[2])
    assert sorted(campaign.observations["name"]) == sorted(CELLS)
    assert set(campaign.observations["note"]) == set(CELLS)
    export_campaign(campaign, tmp_path / "c.zip")
    other = import_campaign(tmp_path / "c.zip", f"sqlite:///{tmp_path / 'b.db'}")
    pd.testing.assert_frame_equal(other.observations, campaign.observations)
    for cell in CELLS:
        assert trace(campaign, cell).to_dict()["candidate"]["id"] == cell
    assert audit(store_url).clean
    new = {path.name for path in tmp_path.rglob("*") if path.is_file()} - {path.name for path in before}
    assert not [name for name in new if "evil" in name or "passwd" in name or "DROP" in name]
    assert not os.path.exists("x")  # noqa: PTH110


@pytest.mark.parametrize(
    "text_",
    [
        "campaign: !!python/object/apply:os.system ['touch evil']\n",
        "campaign: !!python/object/new:os.system ['touch evil']\n",
        "campaign: c\nobjective: !!python/name:os.system\n",
        "!!python/object/apply:subprocess.check_output [['touch', 'evil']]\n",
        "a: &a ['x']\n"
        + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(9)),
    ],
)
def test_a_campaign_file_is_loaded_safely(tmp_path, monkeypatch, text_):
    from discover.definition import load
    from discover.errors import InvalidDefinition

    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(text_)
    with pytest.raises(InvalidDefinition):
        load(tmp_path / "c.yaml")
    assert not (tmp_path / "evil").exists()


def test_a_prefect_server_is_never_given_the_password(monkeypatch, tmp_path):
    from flows import runner

    given: dict[str, object] = {}
    monkeypatch.delenv("PGPASSWORD", raising=False)
    store = runner.without_password("postgresql://me:s3cret%2F@host/oxides")
    given["store"] = store
    assert "s3cret" not in json.dumps(given)
    assert os.environ.pop("PGPASSWORD") == "s3cret/"
    assert runner.without_password("sqlite:///x.db") == "sqlite:///x.db"
    queried = runner.without_password("postgresql://me@host/oxides?password=other&sslmode=require")
    assert queried == "postgresql://me@host/oxides?sslmode=require"
    assert os.environ.pop("PGPASSWORD") == "other"
    assert runner.without_password(None) is None
    assert "PGPASSWORD" not in os.environ
