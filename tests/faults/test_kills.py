"""SIGKILL at every commit boundary and at random instants: nothing is lost, doubled or done again, and the end is the same."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.bench import BAYESIAN, RANDOM, Fields, Lives, Truth, at_a_boundary, at_random


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory where there is such a place: a killed process does not take the operating system with it."""
    memory = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(prefix="kills_", dir=memory if memory.is_dir() else None))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISCOVER_FILES", str(path / "files"))
        patch.setenv("DISCOVER_SNAPSHOTS", str(path / "snapshots"))
        yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def lives(folder: Path) -> Iterator[Lives]:
    lives = Lives()
    yield lives
    lives.end()


@pytest.fixture(scope="module")
def thinking(folder: Path) -> Iterator[Lives]:
    lives = Lives(bayesian=True)
    yield lives
    lives.end()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest):
    return request.getfixturevalue("postgres") if request.param == "postgresql" else None


@pytest.fixture(scope="module")
def field(server, folder: Path, lives: Lives) -> tuple[Fields, Lives, Truth]:
    fields = Fields(folder / f"random{'_server' if server else ''}", RANDOM, 4 if server else 6, server)
    return fields, lives, fields.truth(lives)


def test_killed_before_and_after_every_commit(field) -> None:
    fields, lives, truth = field
    assert truth.commits > 15
    for number in range(1, truth.commits + 1):
        at_a_boundary(fields, lives, truth, "before", number)
        if number % 3 == 1 and number < truth.commits:  # most are as before the next; after the last nothing is left
            at_a_boundary(fields, lives, truth, "after", number)


def test_killed_at_random_instants_until_it_is_done(field) -> None:
    fields, lives, truth = field
    dice = random.Random(20260301)
    kills = sum(at_random(fields, lives, truth, dice, 6) for _ in range(5))
    assert kills >= 10


@pytest.fixture(scope="module")
def thoughtful(server, folder: Path, thinking: Lives) -> tuple[Fields, Lives, Truth]:
    fields = Fields(folder / f"bayesian{'_server' if server else ''}", BAYESIAN, 8, server)
    return fields, thinking, fields.truth(thinking)


def test_a_bayesian_campaign_is_bit_identical_after_kills(thoughtful) -> None:
    fields, lives, truth = thoughtful
    assert truth.proposals["predicted_mean"].notna().sum() == 4
    dice = random.Random(20260302)
    for number in sorted(dice.sample(range(1, truth.commits), 2)):
        at_a_boundary(fields, lives, truth, dice.choice(["before", "after"]), number)
    assert at_random(fields, lives, truth, dice, 3) >= 1
