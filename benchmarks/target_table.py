"""The runs of `targets.py` as JSON and as tables in Markdown: paired differences with bootstrap bands, and counts.

A policy enters with the seeds that the first of ours, whose name stands first, has played too. Its difference is that of the
first of ours less its own, seed by seed; the band is the 95 % interval of the mean by the bootstrap over seeds. What counts is the share
that was found in the end where things are to be found (hits, the ten best), and elsewhere the area under the curve.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from target_policies import PEERS, policies_of
from target_tasks import task

from discover.backtest.metrics import Interval, bootstrap
from discover.values import FloatArray

RULES = 2
"""Of the game; runs under other rules are made again."""
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
DECIDING = 5
"""Paired seeds below which a task counts as undecided, whatever its band."""
COUNTS = {"hits": "end", "top": "end"}
"""What counts, by kind of task, where it is not the area."""
KINDS = {
    "front": "Several targets: share of the hypervolume of the whole table",
    "constrained": "Constraints: the best that keeps them, 0 the worst of those and 1 the best",
    "hits": "All hits: how many were found, as a share of what the budget could find",
    "top": "The ten best: the share of them that was found",
    "level": "A level: balanced accuracy over the rest, 0 for a guess; F1 of the upper side in the end",
    "whole": "The whole table: 1 − root mean square error over the rest ÷ deviation; negative log density in the end",
}


@dataclass(frozen=True)
class Played:
    """A task's paired runs: by policy, in the order of the seeds that it shares with the first of ours."""

    name: str
    kind: str
    side: str
    runs: dict[str, list[dict[str, Any]]]

    @classmethod
    def of(cls, name: str, runs: Sequence[dict[str, Any]]) -> Played:
        """Of all runs of a task. The first of our policies that has played is what the others are compared with."""
        one = task(name)
        by = {p: {r["seed"]: r for r in runs if r["policy"] == p} for p in policies_of(one)}
        first = next(iter(found for found in by.values() if found), {})
        shared = {policy: [found[seed] for seed in sorted(set(found) & set(first))] for policy, found in by.items()}
        return cls(name, one.kind, one.side, {policy: found for policy, found in shared.items() if found})

    @property
    def ours(self) -> str:
        """The policy that the others are compared with."""
        return next(iter(self.runs))

    @property
    def peer(self) -> str | None:
        """The best that BoTorch can do here; None where it did not play."""
        first = next(iter(PEERS[self.kind]))
        return first if first in self.runs else None

    def values(self, policy: str, what: str) -> FloatArray:
        """A number of each run: [seeds]."""
        return np.array([run[what] for run in self.runs[policy]], dtype=np.float64)

    def gaps(self, policy: str) -> FloatArray:
        """What counts, of ours less of a policy: [seeds]."""
        what = COUNTS.get(self.kind, "area")
        ours = {run["seed"]: run[what] for run in self.runs[self.ours]}
        return np.array([ours[run["seed"]] - run[what] for run in self.runs[policy]])

    def difference(self, policy: str) -> Interval:
        """Of what counts: ours less a policy, mean and band over seeds."""
        return bootstrap(self.gaps(policy))


def read(folder: Path) -> list[dict[str, Any]]:
    """The runs under these rules, kept one by one in a folder."""
    runs = [json.loads(place.read_text()) for place in sorted(folder.glob("*.json"))]
    return [run for run in runs if run["rules"] == RULES]


def played(runs: Sequence[dict[str, Any]]) -> list[Played]:
    """Tasks that at least two policies have played, by kind."""
    names = dict.fromkeys(run["task"] for run in runs)
    found = [Played.of(name, [run for run in runs if run["task"] == name]) for name in names]
    order = list(KINDS)
    return sorted((one for one in found if len(one.runs) > 1), key=lambda one: (order.index(one.kind), one.name))


def body(tasks: Sequence[Played]) -> dict[str, Any]:
    """What entered the tables, enough to make them again, as plain JSON."""
    kept = ("seed", "rows", "area", "end", "closing", "seconds", "cpu_seconds", "library", "at")
    every = [run for one in tasks for runs in one.runs.values() for run in runs]
    return {
        "rules": RULES,
        "versions": _distinct(every, "versions"),
        "machine": _distinct(every, "machine"),
        "tasks": {
            one.name: {
                "kind": one.kind,
                "side": one.side,
                "runs": {policy: [{k: run[k] for k in kept} for run in runs] for policy, runs in one.runs.items()},
            }
            for one in tasks
        },
    }


def markdown(tasks: Sequence[Played]) -> str:
    """The tables of both sides."""
    lines: list[str] = []
    for side, title in (("development", "Development tables"), ("test", "Test tables")):
        mine = [one for one in tasks if one.side == side]
        if mine:
            lines += [f"## {title}", "", *_summary(mine), ""]
            for kind, what in KINDS.items():
                if some := [one for one in mine if one.kind == kind]:
                    lines += [f"**{what}**", "", *_table(some), ""]
    every = [run for one in tasks for runs in one.runs.values() for run in runs]
    if every:
        lines += [_made_by(every), ""]
    return "\n".join(lines)


def write(tasks: Sequence[Played], document: Path, data: Path) -> None:
    """The tables into their place in a document, and what they are made of into a JSON file."""
    text = document.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    document.write_text(f"{head}{BEGIN}\n\n{markdown(tasks)}\n{END}{tail}", encoding="utf-8")
    told = body(tasks)
    parts = {key: json.dumps(value) for key, value in told.items() if key != "tasks"}
    lines = [f" {json.dumps(key)}: {value}" for key, value in parts.items()]
    each = [f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in told["tasks"].items()]
    data.write_text(
        "{\n" + ",\n".join([*lines, ' "tasks": {\n' + ",\n".join(each) + "\n }"]) + "\n}\n", encoding="utf-8"
    )


def _summary(tasks: Sequence[Played]) -> list[str]:
    """Ours beside the best that BoTorch can do, kind by kind."""
    lines = [
        "| | tasks | ours − BoTorch, mean over tasks | ahead | behind | undecided |",
        "|---|---|---|---|---|---|",
    ]
    for kind in KINDS:
        gaps = [one.difference(one.peer) for one in tasks if one.kind == kind and one.peer is not None]
        if gaps:
            signs = [gap.sign if gap.n >= DECIDING else 0 for gap in gaps]
            counts = f"{signs.count(1)} | {signs.count(-1)} | {signs.count(0)}"
            lines.append(f"| {kind} | {len(gaps)} | {np.mean([gap.mean for gap in gaps]):+.3f} | {counts} |")
    return [
        *lines,
        "",
        f"Ahead and behind: tasks whose band of the paired difference, of {DECIDING} seeds at least, leaves zero out.",
    ]


def _table(tasks: Sequence[Played]) -> list[str]:
    what = COUNTS.get(tasks[0].kind, "area")
    closing = sorted({key for one in tasks for runs in one.runs.values() for run in runs for key in run["closing"]})
    heads = [
        "task",
        "policy",
        "seeds",
        "area",
        "end",
        *closing,
        f"{what}: first − this [95 %]",
        "better",
        "worse",
        "CPU s",
    ]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for one in tasks:
        for place, policy in enumerate(one.runs):
            name = "" if place else one.name
            lines.append(f"| {name} | {policy} | {len(one.runs[policy])} | {_row(one, policy, closing)} |")
    return lines


def _row(one: Played, policy: str, closing: Sequence[str]) -> str:
    area, end = (one.values(policy, what).mean() for what in ("area", "end"))
    told = [f"{area:.3f}", f"{end:.3f}"]
    for key in closing:
        found = [run["closing"][key] for run in one.runs[policy] if key in run["closing"]]
        told.append(f"{np.mean(found):.3f}" if found else "")
    gap, gaps = one.difference(policy), one.gaps(policy)
    band = str(gap) if np.isfinite(gap.low) else f"{gap.mean:+.3f}"
    told += ["", "", ""] if policy == one.ours else [band, str(int((gaps > 0).sum())), str(int((gaps < 0).sum()))]
    return " | ".join([*told, f"{np.median(one.values(policy, 'cpu_seconds')):.1f}"])


def _made_by(runs: Sequence[dict[str, Any]]) -> str:
    versions = "; ".join(" ".join(f"{k} {v}" for k, v in found.items()) for found in _distinct(runs, "versions"))
    machines = "; ".join(f"{m['processor']} with {m['cpus']} cores" for m in _distinct(runs, "machine"))
    library = ", ".join(sorted({run["library"] for run in runs if run["library"]}))
    return f"{len(runs)} paired runs. {versions}; ours by a hash over what decides: {library}. {machines}."


def _distinct(runs: Sequence[dict[str, Any]], key: str) -> list[Any]:
    return [json.loads(text) for text in sorted({json.dumps(run[key], sort_keys=True) for run in runs})]
