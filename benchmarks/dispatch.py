"""What it costs to spread experiments over a Dask cluster, and that tasks of half a minute make it less than a twentieth.

    python benchmarks/dispatch.py                 # about two minutes on two cores
    python benchmarks/dispatch.py --seconds 2 --experiments 60

A local cluster of two processes, a Prefect server of its own. First, empty experiments, one a task: what a task costs. Then
experiments that sleep, as the campaign divides them (`discover.campaign.unattended.portions`), beside one a task: the share of the
machines' time that is not work.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

WORKERS = 2
MODULE = """
from __future__ import annotations

import time
from dataclasses import dataclass

from discover.values import Result, Value


@dataclass(frozen=True)
class Napping:
    seconds: float = 0.0

    requires = ("a",)
    targets = {"y": ""}
    deterministic = True

    def located(self, base, files):
        return self

    def describe(self):
        return {"method": "sleeping"}

    def run(self, proposal):
        time.sleep(self.seconds)
        return Result("measured", {"y": Value(proposal.candidate.values["a"])})
"""
YAML = """\
campaign: naps
objective: {{target: y, direction: maximize}}
candidates: {{kind: table, file: table.csv, id: id}}
features: [a]
policy: {{kind: random}}
experiment: {{kind: napping, seconds: {seconds}}}
"""


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="how long an experiment takes")
    parser.add_argument("--experiments", type=int, default=80)
    parser.add_argument("--empty", type=int, default=20, help="empty experiments, one a task")
    parser.add_argument("--task-seconds", type=float, default=None, help="work a task; default: as campaigns do")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), options), indent=2))


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Costs in seconds and shares; `slots` tasks run at the same time."""
    _install(folder)
    from distributed import LocalCluster

    from flows import environment, temporary_server

    environment.prepare()
    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        temporary_server.temporary_server(),
    ):
        os.environ["DISCOVER_DASK"] = cluster.scheduler_address
        from prefect import flow

        from discover.campaign.unattended import portions
        from flows import spread

        where = options.task_seconds or portions.TASK_SECONDS

        @flow(name="benchmark", task_runner=spread.task_runner())
        def run(seconds: float, n: int, task_seconds: float | None, name: str) -> dict[str, Any]:
            place, campaign = _begin(folder, name, seconds)
            campaign.ask(WORKERS)
            place.run(campaign, None, print)  # processes are warm, and the duration is known
            campaign.ask(n)
            ids = list(campaign.pending["proposal_id"])
            single = [[pid] for pid in ids]
            parts = single if task_seconds is None else portions.portions(ids, seconds, WORKERS, task_seconds)
            before = time.perf_counter()
            _wait_all([spread.calculate.submit(place.file, place.store, part, None) for part in parts])
            wall = time.perf_counter() - before
            assert campaign.status().pending == 0
            work = n * seconds
            over = wall * min(WORKERS, len(parts)) - work
            return {
                "experiments": n, "seconds each": seconds, "tasks": len(parts), "wall seconds": round(wall, 2),
                "seconds a task beside its work": round(over / len(parts), 3),
                "share of the work": round(over / work, 4) if work else None,
            }  # fmt: skip

        return {
            "slots": WORKERS,
            "one empty experiment a task": run(0.0, options.empty, None, "empty"),
            "one experiment a task": run(options.seconds, options.experiments, None, "single"),
            f"tasks of {where:g} s": run(options.seconds, options.experiments, where, "portions"),
        }


def _wait_all(futures: list[Any]) -> None:
    for future in futures:
        future.wait()
        if not future.state.is_completed():
            raise SystemExit(f"a task failed: {future.state.message}")


def _begin(folder: Path, name: str, seconds: float) -> tuple[Any, Any]:
    from discover.definition import load
    from flows.spread import Spread

    path = folder / name / "naps.yaml"
    path.parent.mkdir()
    (path.parent / "table.csv").write_text("id,a\n" + "".join(f"m{i:04d},{i}\n" for i in range(2000)))
    path.write_text(YAML.format(seconds=seconds))
    store = f"sqlite:///{path.parent / 'naps.db'}"
    return Spread(str(path), store), load(path).open(store)


def _install(folder: Path) -> None:
    """An experiment of a third party, for this process and those of the cluster."""
    import sys

    (folder / "napping_kind.py").write_text(MODULE)
    info = folder / "napping_kind-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: napping-kind\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[discover.experiments]\nnapping = napping_kind:Napping\n")
    sys.path.insert(0, str(folder))
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)


if __name__ == "__main__":
    main()
