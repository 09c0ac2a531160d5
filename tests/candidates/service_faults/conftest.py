"""For the tests of faults of the Materials Project: a key, the client, and a server whose faults are ordered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mp_server import KEY, MPServer, documents


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
