"""A campaign with one proposal, and the same brought to every state."""

import tempfile

import pytest

from tests.campaign.life.bench import REACHED, Bench


@pytest.fixture
def url(tmp_path, monkeypatch):
    """A store in memory: what a state means does not depend on where it is kept, and these tests are many."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return "sqlite://"


@pytest.fixture
def bench(pool, url):
    return Bench(pool, url, approval=True)


@pytest.fixture(params=REACHED)
def reached(request, bench):
    reach, expected = REACHED[request.param]
    reach(bench)
    assert bench.state is expected
    return request.param
