"""Whether anything breaks: thousands of campaigns as they should not be, each given to a policy.

    OMP_NUM_THREADS=1 python benchmarks/degenerate.py                    # 10,000 cases
    OMP_NUM_THREADS=1 python benchmarks/degenerate.py --first 4711 --cases 1

Constant, contradictory and far outlying values, scales from 1e-12 to 1e12, no or huge deviations, bounds alone, repeated,
collinear and constant features, 200 features of 5 rows, pools of one row, all pending, several targets that share no row,
batches larger than the pool: for every case nothing may be raised, proposals must be legal (at most n, none blocked, none
twice, limits kept), all numbers finite and plain JSON, and the same again for the same seed. Stopping rules give finite
evidence. What fails is printed with its seed.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from degenerate_cases import Case, drawn, policy_of, view_of

from discover.campaign.reading.predicting import outlook_of
from discover.errors import Unsupported
from discover.policy.choice import free_rows
from discover.policy.rules import HitsBelow, ImprovementBelow, NoImprovement, RegretBelow, Standing, TargetReached
from discover.protocols import Policy, View
from discover.values import Batch

SHOWN = 5
"""Cases that are printed of what fails in one way; all of them are counted, and stand in the JSON."""


def problems(case: Case, *, again: bool = True, stopping: bool = True) -> list[str]:
    """What is wrong with the answers to a case; empty where nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return list(_problems(case, again, stopping))
        except Exception:
            lines = [line.strip() for line in traceback.format_exc().splitlines()]
            where = next((line for line in reversed(lines) if line.startswith("File") and "/discover/" in line), "")
            return [f"raised {lines[-1]} ({where.split('/discover/')[-1]})"]


def _problems(case: Case, again: bool, stopping: bool) -> Iterator[str]:
    view, policy = view_of(case), policy_of(case)
    check = getattr(policy, "check", None)
    try:
        if check is not None:
            check(view.objective)
        batch = policy.propose(view, case.n, np.random.default_rng(case.seed))
    except Unsupported:
        return
    yield from _illegal(view, case.n, batch)
    yield from _not_plain(batch)
    if again:
        twice = policy.propose(view, case.n, np.random.default_rng(case.seed))
        if _text(twice) != _text(batch):
            yield "another answer to the same question"
        memory = json.loads(json.dumps(dict(batch.learned).get("memory", {})))
        later = policy.propose(replace(view, memory=memory, iteration=1), case.n, np.random.default_rng(case.seed))
        yield from (f"with memory: {wrong}" for wrong in [*_illegal(view, case.n, later), *_not_plain(later)])
    if stopping:
        yield from _unadvised(case, view, policy)


def _illegal(view: View, n: int, batch: Batch) -> Iterator[str]:
    ids = [p.candidate_id for p in batch]
    rows = np.searchsorted(view.ids, ids)
    if len(batch) > n:
        yield f"{len(batch)} proposals where {n} were asked for"
    if len(set(ids)) < len(ids):
        yield "a candidate twice"
    if view.blocked[rows].any():
        yield "a blocked candidate"
    if len(batch) < min(n, len(free_rows(view))) and not view.limits.binding:
        yield f"{len(batch)} proposals where {min(n, len(free_rows(view)))} could be made"
    if len(batch) < n and not batch.shortage:
        yield "fewer than were asked for, and no word why"
    taken: list[int] = []
    for row in rows.tolist():
        if not view.limits.allowed(np.array([row]), taken)[0]:
            yield "a limit of the batch is broken"
        taken.append(row)


def _not_plain(batch: Batch) -> Iterator[str]:
    try:
        _text(batch)
    except (TypeError, ValueError) as error:
        yield f"not plain JSON: {error}"
    for p in batch:
        numbers = [x for one in p.predicted.values() for x in (one.mean, one.std)]
        if not all(math.isfinite(x) for x in numbers):
            yield "a prediction is not finite"
        if any(one.std < 0 for one in p.predicted.values()):
            yield "a negative deviation"
        if p.acquisition is not None and not math.isfinite(p.acquisition):
            yield "an acquisition value is not finite"
        if p.probability is not None and not 0 < p.probability <= 1 + 1e-12:
            yield f"a probability of {p.probability}"
        if not p.reason or "nan" in p.reason.split():
            yield f"a reason that is none: {p.reason}"


def _text(batch: Batch) -> str:
    parts: list[Any] = [dict(batch.learned), batch.shortage]
    for p in batch:
        predicted = {name: [one.mean, one.std] for name, one in p.predicted.items()}
        parts.append([p.candidate_id, p.reason, p.probability, predicted, p.acquisition, p.rank, dict(p.details)])
    return json.dumps(parts, sort_keys=True, allow_nan=False)


def _unadvised(case: Case, view: View, policy: Policy) -> Iterator[str]:
    outlook, rows = outlook_of(view, policy), np.arange(len(view.ids))
    for name in view.objective.names:
        if outlook is not None and not all(np.isfinite(part).all() for part in outlook.at(name, rows)):
            yield f"the belief about {name} is not finite"
    name = view.objective.names[0]
    standing = Standing(tuple(view.training[name].values.tolist()), lambda: outlook)
    unit = 10.0**case.scale
    for rule in (TargetReached(unit), NoImprovement(2), ImprovementBelow(unit), RegretBelow(unit), HitsBelow(unit)):
        try:
            rule.check(view.objective)
        except Unsupported:
            continue
        advice = rule.advise(view, standing)
        if not advice.evidence or not all(math.isfinite(x) for x in advice.numbers.values()):
            yield f"{type(rule).__name__} gives no finite evidence: {advice.evidence} {dict(advice.numbers)}"


def main() -> None:
    """Run the cases of some seeds, and say which failed."""
    parser = argparse.ArgumentParser(description="Campaigns as they should not be: nothing may break.")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--json", type=Path, help="where to write what was found")
    given = parser.parse_args()
    began, found = time.process_time(), {}
    kinds: Counter[str] = Counter()
    for seed in range(given.first, given.first + given.cases):
        wrong = problems(drawn(seed), again=seed % 4 == 0, stopping=seed % 4 == 1)
        if wrong:
            found[seed] = wrong
            kinds.update(set(wrong))
            if min(kinds[kind] for kind in wrong) <= SHOWN:
                print(f"{seed}: {'; '.join(dict.fromkeys(wrong))}\n    {drawn(seed)}", flush=True)
    seconds = time.process_time() - began
    print(f"{given.cases:,} cases, {len(found):,} with something wrong, {seconds:.0f} s of processor time")
    for kind, count in kinds.most_common():
        print(f"{count:6,}  {kind}")
    if given.json:
        body = {"first": given.first, "cases": given.cases, "seconds": seconds, "failures": found}
        given.json.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
