"""Campaigns to be killed: copies of one that has just begun, the run that nobody disturbed, and what must be so after a kill."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from discover import Campaign, CandidatePool, Objective
from discover.protocols import View
from discover.provenance.audit import audit
from discover.store.log.log import EventLog
from tests.faults.worker import NAME

ROOT = Path(__file__).parents[2]
COLUMNS = ["proposal_id", "id", "iteration", "rank", "policy", "reason", "probability", "predicted_mean",
           "predicted_std", "acquisition", "state", "y", "attempts"]  # fmt: skip
RANDOM = {"kind": "random", "batch": 3, "explore": 0.3}
BAYESIAN = {"kind": "bayesian", "batch": 2, "start": 4}


class Lives:
    """The warm process that forks lives."""

    def __init__(self, *, bayesian: bool = False):
        command = [sys.executable, "-m", "tests.faults.worker", *(["bayesian"] if bayesian else [])]
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | threads
        )
        self._answer()

    def _answer(self) -> dict:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process that forks lives has ended"
        return json.loads(line)

    def live(self, **order) -> dict:
        """One life of a campaign; see `tests.faults.worker`."""
        assert self._process.stdin is not None
        print(json.dumps({name: value for name, value in order.items() if value is not None}),
              file=self._process.stdin, flush=True)  # fmt: skip
        answer = self._answer()
        assert answer["killed"] or answer["code"] == 0, f"a life failed: {answer}, {order}"
        return answer

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


@dataclass
class Store:
    """One copy of the campaign, and what its lives wrote down outside of it."""

    url: str
    diary: Path
    acks: Path

    def events(self) -> list:
        log = EventLog(self.url, create=False)
        try:
            return log.read(NAME)
        finally:
            log.database.close()


@dataclass
class Truth:
    """The run that nobody disturbed."""

    proposals: pd.DataFrame
    results: list
    seen: str
    following: list
    commits: int
    seconds: float


class Fields:
    """Copies of a campaign that has just begun, on one engine."""

    def __init__(self, folder: Path, policy: dict, budget: int, server=None):
        self.folder, self.server, self.budget = folder, server, budget
        self.numbers = itertools.count(1)
        frame = pd.DataFrame({"id": [f"m{i:02d}" for i in range(40)]})
        dice = np.random.default_rng(0)
        frame["a"], frame["b"] = dice.random(40), dice.random(40)
        pool = CandidatePool.from_frame(frame, id="id", features=["a", "b"])
        folder.mkdir(parents=True)
        self.template = server.create(f"{folder.name}_0") if server else f"sqlite:///{folder / 'template.db'}"
        campaign = Campaign.create(NAME, objective=Objective("y"), candidates=pool, policy=policy,
                                   store=self.template, budget={"experiments": budget})  # fmt: skip
        campaign._journal.log.database.close()

    def copy(self) -> Store:
        """The campaign as it was created, once more."""
        number = next(self.numbers)
        if self.server:
            url = self.server.create(f"{self.folder.name}_{number}", f"{self.folder.name}_0")
        else:
            path = self.folder / f"{number}.db"
            shutil.copy(self.folder / "template.db", path)
            url = f"sqlite:///{path}"
        return Store(url, self.folder / f"{number}.diary", self.folder / f"{number}.acks")

    def drop(self, store: Store) -> None:
        if self.server:
            self.server.drop(store.url.rsplit("/", 1)[1])
        else:
            shutil.rmtree(self.folder / f"{Path(store.url).name}.files", ignore_errors=True)
            for path in self.folder.glob(f"{Path(store.url).name}*"):
                path.unlink()

    def truth(self, lives: Lives) -> Truth:
        """The undisturbed run, which takes as long as such a run does when everything is warm."""
        store = self.copy()
        lives.live(url=store.url, diary=str(store.diary), acks=str(store.acks))
        commits = int(Path(f"{store.acks}.commits").read_text().split()[-1])
        again = self.copy()
        seconds = lives.live(url=again.url, diary=str(again.diary), acks=str(again.acks))["seconds"]
        proposals, results, seen, following = told(store)
        assert told(again)[1:] == (results, seen, following)
        assert len(proposals) == self.budget
        return Truth(proposals, results, seen, following, commits, seconds)


def told(store: Store) -> tuple[pd.DataFrame, list, str, list]:
    """What a finished campaign says, and what it would do next. The store is asked once more, and so changed."""
    campaign = Campaign.open(NAME, store=store.url)
    try:
        proposals = campaign.proposals[COLUMNS]
        results = sorted((o.proposal_id, o.target, o.value) for o in campaign.ledger.observations.values())
        view: View = campaign.view()
        following = campaign.ask(3, key="the next one")[["id", "predicted_mean"]].to_dict("list")
        return proposals, results, view.seen, [following["id"], [str(x) for x in following["predicted_mean"]]]
    finally:
        campaign._journal.log.database.close()


class Killed:
    """One campaign that is killed, as often as one likes, and held against the truth."""

    def __init__(self, fields: Fields, lives: Lives, truth: Truth):
        self.fields, self.lives, self.truth = fields, lives, truth
        self.store = fields.copy()
        self.kills = 0

    def live(self, **how) -> bool:
        """One life; whether it was killed. What was committed before it is there after it, and not done again."""
        before = self.store.events()
        done = self._lines(self.store.diary)
        finished = {e.payload["observation"]["candidate_id"] for e in before if e.kind == "observed"}
        answer = self.lives.live(url=self.store.url, diary=str(self.store.diary), acks=str(self.store.acks), **how)
        after = self.store.events()
        assert [(e.seq, e.id) for e in after[: len(before)]] == [(e.seq, e.id) for e in before]
        promised = dict(line.split() for line in self._lines(self.store.acks))
        assert {str(e.seq): e.id for e in after}.items() >= promised.items(), "what was committed is lost"
        again = finished & set(self._lines(self.store.diary)[len(done) :])
        assert not again, f"calculated again though committed: {again}"
        self.kills += answer["killed"]
        return bool(answer["killed"])

    def _lines(self, path: Path) -> list[str]:
        return path.read_text().splitlines() if path.exists() else []

    def check(self) -> None:
        """Once it has finished: as the undisturbed run, and clean."""
        events = self.store.events()
        chosen = [p["candidate_id"] for e in events if e.kind == "proposed" for p in e.payload["proposals"]]
        assert len(set(chosen)) == len(chosen) == self.fields.budget, "a candidate was proposed twice"
        values = [e.payload["observation"]["proposal_id"] for e in events if e.kind == "observed"]
        assert len(set(values)) == len(values) == self.fields.budget, "a result is doubled"
        begun = [(e.payload["proposal_id"], e.payload["attempt"]) for e in events if e.kind == "submitted"]
        assert len(set(begun)) == len(begun) == self.fields.budget, "an attempt was begun twice"
        times = Counter(self._lines(self.store.diary))
        assert set(times) == set(chosen)
        assert sum(times.values()) <= len(chosen) + self.kills, "more was repeated than was in flight"
        report = audit(self.store.url)
        assert report.events == len(events)
        assert not [f for f in report.findings if f.severity != "note"], report
        proposals, results, seen, following = told(self.store)
        pd.testing.assert_frame_equal(proposals, self.truth.proposals, check_exact=True)
        assert results == self.truth.results
        assert (seen, following) == (self.truth.seen, self.truth.following)

    def finish(self) -> None:
        """Resume undisturbed, check, and give the copy back."""
        assert not self.live()
        self.check()
        self.fields.drop(self.store)


def at_a_boundary(fields: Fields, lives: Lives, truth: Truth, side: str, number: int) -> None:
    """Killed before or after its n-th commit, resumed."""
    one = Killed(fields, lives, truth)
    assert one.live(**{side: number}), f"not killed {side} commit {number}"
    one.finish()


def at_random(fields: Fields, lives: Lives, truth: Truth, dice: random.Random, most: int) -> int:
    """Killed at random instants until it is finished, at most so often; how often."""
    one = Killed(fields, lives, truth)
    while one.kills < most:
        if not one.live(delay=dice.uniform(0.0, 0.7) * truth.seconds):
            break
    one.finish()
    return one.kills
