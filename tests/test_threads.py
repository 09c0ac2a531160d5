"""Threads are fixed before torch is imported, and a campaign is computed with those that it began with."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, CandidatePool, Objective, threads
from discover.errors import InvalidInput


def python(code: str, **variables: str) -> str:
    cleared = {k: v for k, v in os.environ.items() if k not in (*threads.VARIABLES, threads.SETTING)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=cleared | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


FIXED = """
import sys
from discover import threads
threads.fix()
assert "torch" not in sys.modules and "numpy" not in sys.modules
import torch, os
print(torch.get_num_threads(), os.environ["OPENBLAS_NUM_THREADS"])
"""


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, "1 1"),
        ({"OMP_NUM_THREADS": "1", "DISCOVER_THREADS": "2"}, "2 2"),
        ({"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}, "2 1"),
    ],
)
def test_the_environment_is_fixed_before_torch_is_imported(variables, told):
    assert python(FIXED, **variables) == told


def test_the_command_line_and_the_flows_fix_it():
    code = "import os\nfrom flows import environment\nenvironment.prepare()\nprint(os.environ['OMP_NUM_THREADS'])"
    assert python(code) == "1"
    code = """
import os, typer.testing
from discover.cli import app
found = typer.testing.CliRunner().invoke(app, ["schema"])
print(os.environ["OMP_NUM_THREADS"], found.exit_code)
"""
    assert python(code, DISCOVER_THREADS="2") == "2 0"
    code = code.replace('os.environ["OMP_NUM_THREADS"]', "'DISCOVER_THREADS' in found.output")
    assert python(code, DISCOVER_THREADS="many") == "True 1"


@pytest.mark.parametrize("text", ["", "0", "-1", "two", "1.5", "1000000000"])
def test_a_number_of_threads_that_is_none_is_refused(monkeypatch, text):
    monkeypatch.setenv(threads.SETTING, text)
    with pytest.raises(InvalidInput, match="a whole number from 1 to 1,024"):
        threads.fix()


def test_a_block_has_its_threads_and_gives_the_callers_back():
    import torch

    before = torch.get_num_threads()
    for n in (1, 2):
        with threads.using(n):
            assert torch.get_num_threads() == threads.count() == n
            with threads.using(1):
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == n
        assert torch.get_num_threads() == before
    with pytest.raises(ZeroDivisionError), threads.using(2):
        raise ZeroDivisionError
    assert torch.get_num_threads() == before


def test_torch_that_is_imported_inside_a_block_has_its_threads():
    code = """
import os
from discover import threads
with threads.using(1):
    assert threads.count() == 1
    import torch
    inside = torch.get_num_threads()
print(inside, torch.get_num_threads() == len(os.sched_getaffinity(0)), "OMP_NUM_THREADS" in os.environ)
"""
    assert python(code, DISCOVER_THREADS="2") == "1 True False"


def make(url: str, policy: object = "random") -> Campaign:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": [f"c{i}" for i in range(30)], "x": rng.random(30), "z": rng.random(30)})
    pool = CandidatePool.from_frame(frame, id="id", features=["x", "z"])
    return Campaign.create("c", objective=Objective("y"), candidates=pool, policy=policy, store=url, if_exists="open")


CHOOSE = """
import json, sys
sys.path[:0] = {path!r}
from tests.test_threads import make
{first}
campaign = make({url!r}, {{"kind": "bayesian", "start": 3}})
batch = campaign.ask(3)
campaign.tell(batch[["proposal_id"]].assign(y=batch["x"] ** 2))
learned = campaign.ledger.iterations[-1].learned
print(json.dumps([learned["environment"]["threads"], [n for _, _, n in campaign.ledger.notes]]))
"""


def test_a_campaign_goes_on_with_the_threads_that_it_began_with(tmp_path):
    url = f"sqlite:///{tmp_path / 'a.db'}"

    def choose(first: str = "", **variables: str) -> list:
        code = CHOOSE.format(path=sys.path, url=url, first=first)
        return json.loads(python(code, **variables).splitlines()[-1])

    assert choose(DISCOVER_THREADS="2") == [2, []]
    assert choose("import torch; torch.set_num_threads(1)") == [2, []]


def test_threads_that_cannot_be_had_are_said(tmp_path, monkeypatch):
    campaign = make(f"sqlite:///{tmp_path / 'a.db'}")
    campaign.ask(1)
    assert campaign.ledger.notes == []
    monkeypatch.setattr(threads, "count", lambda: 7)
    campaign.ask(1)
    ((_, _, text),) = campaign.ledger.notes
    assert "not bit-reproducible" in text
    assert "→ 7" in text
