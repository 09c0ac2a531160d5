"""The ledger to a view, and a policy's batch to an event."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from discover.campaign.asking.changing import standing
from discover.campaign.asking.fixing import others_than
from discover.campaign.asking.limiting import limits_of, remaining, told_costs
from discover.candidates.space.ground import Ground
from discover.candidates.space.points import Points, Pool
from discover.errors import DiscoverError
from discover.limits import Limits
from discover.objective import Objective
from discover.protocols import View
from discover.store.canonical import canonical, digest
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.life import State
from discover.store.log.events import Draft
from discover.values import Batch, FeatureTable, Observation, Proposal, Training

BOUNDS = {None: 0, "below": -1, "above": 1}


def view_of(
    ledger: Ledger,
    objective: Objective,
    pool: Pool,
    features: FeatureTable,
    fixed: Mapping[str, Any] | None = None,
) -> View:
    """What a policy may know, in canonical order: neither arrival order nor clock can be told from it.

    fixed: values, by column, that the next batch must have. InvalidInput for values that no candidate has.
    """
    blocked = ledger.blocked()
    known = [i for i in blocked if i in pool]
    tried = (t for t in ledger.pending() if t.state is not State.RETRYABLE)  # nobody is at work on one that failed
    pending = sorted({t.candidate_id for t in tried if t.candidate_id in pool})
    infeasible = sorted(i for i in ledger.infeasible() if i in pool)
    mask = np.zeros(len(pool), dtype=bool)
    mask[pool.rows(known)] = True
    training = {name: _training(ledger, name, pool) for name in objective.names}
    data = {
        name: [t.rows, t.values, t.stds, t.bounds, *([list(t.conditions)] if t.conditions else [])]
        for name, t in training.items()
    }
    # positions in another pool are other candidates
    other: dict[str, Any] = {"pool": ledger.pool["snapshot"]} if len(ledger.pools) > 1 else {}
    other |= {"fixed": dict(fixed)} if fixed else {}
    ground = None
    if (last := standing(ledger)) is not None:
        other["standing"] = last
    if isinstance(pool, Points):
        other["points"] = pool.ids.tolist()
        ground = Ground(pool.space.region(fixed), pool, lambda points: limits_of(ledger, points))
    elif fixed:
        mask |= others_than(fixed, pool)
    seen = digest({"data": data, "blocked": sorted(known), "pending": pending, "infeasible": infeasible, **other})
    return View(
        objective=objective,
        ids=pool.ids,
        features=features,
        training=training,
        blocked=mask,
        pending=pool.rows(pending),
        infeasible=pool.rows(sorted(i for i in ledger.infeasible() | ledger.failed() if i in pool)),
        iteration=len(ledger.iterations),
        seen=seen,
        memory=_memory(ledger),
        limits=Limits() if ground is not None else limits_of(ledger, pool),
        remaining=remaining(ledger),
        ground=ground,
        costs=told_costs(ledger, pool),
    )


def _memory(ledger: Ledger) -> dict[str, Any]:
    last = next((i for i in reversed(ledger.iterations) if i.remembers), None)
    return dict(last.learned["memory"]) if last else {}


def _training(ledger: Ledger, target: str, pool: Pool) -> Training:
    told = [o for o in ledger.observations.values() if o.target == target and o.candidate_id in pool]
    rows = pool.rows([o.candidate_id for o in told])
    order = sorted(
        range(len(told)),
        key=lambda i: (
            rows[i],
            told[i].replicate,
            told[i].value,
            -1.0 if told[i].std is None else told[i].std,
            BOUNDS[told[i].bound],
            canonical(_conditions(told[i])),  # who agree in all of this are the same to a policy, in whichever order
        ),
    )
    return Training(
        rows=rows[order].astype(np.int64),
        values=np.array([told[i].value for i in order], dtype=np.float64),
        stds=np.array([np.nan if told[i].std is None else told[i].std for i in order], dtype=np.float64),
        bounds=np.array([BOUNDS[told[i].bound] for i in order], dtype=np.int64),
        conditions=tuple(_conditions(told[i]) for i in order) if any(_conditions(o) for o in told) else (),
    )


def _conditions(observation: Observation) -> dict[str, Any]:
    """Fidelity and context in one; which version of a candidate it was made on is no condition."""
    told = {key: value for key, value in observation.context.items() if key != "version"}
    return {**told, "fidelity": observation.fidelity} if observation.fidelity else told


def seed_of(campaign_seed: int, policy: dict[str, Any], key: str | None, seen: str) -> int:
    """An iteration's seed: a hash of the campaign's seed, the policy, the key and the data seen."""
    return int(digest([campaign_seed, policy, key, seen])[:32], 16)


def check_batch(batch: Batch, view: View, n: int) -> None:
    """Hold a policy to its promise before anything is written."""
    chosen = [proposal.candidate_id for proposal in batch]
    rows = np.minimum(np.searchsorted(view.ids, chosen), len(view.ids) - 1)
    bad = [c for c, row in zip(chosen, rows, strict=True) if view.ids[row] != c or view.blocked[row]]
    if bad or len(set(chosen)) != len(chosen) or len(chosen) > n:
        raise DiscoverError(f"the policy broke its promise: asked for {n}, it proposed {chosen}, not allowed: {bad}")


def batch_event(
    ledger: Ledger,
    uid: str,
    pool: Pool,
    batch: Sequence[Proposal],
    *,
    n: int,
    key: str | None,
    learned: dict[str, Any],
    shortage: str,
    seen: str,
    policy: str,
    basis: int,
    approval: bool = False,
    deadline: str | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> Draft:
    """The event that commits a batch: every proposal with its id and its whole candidate.

    basis: the last event that the choice knew. approval: whether a person must let it pass. deadline: until when a result
    is waited for. fixed: values, by column, that the batch was to have.
    """
    number = len(ledger.trials)
    proposals = []
    for offset, proposal in enumerate(batch, start=1):
        whole = proposal.candidate or pool.candidate(int(pool.rows([proposal.candidate_id])[0]))
        named = replace(proposal, proposal_id=f"{uid}-{number + offset:04d}", candidate=whole)
        proposals.append(asdict(named))
    body = {
        "iteration": len(ledger.iterations) + 1,
        "key": key,
        "n": n,
        "policy": policy,
        "proposals": proposals,
        "learned": learned,
        "shortage": shortage,
        "seen": seen,
        "basis": basis,
        "approval": approval,
        "deadline": deadline,
        **({"fixed": dict(fixed)} if fixed else {}),
    }
    return Draft("proposed", body, identity=None if key is None else f"ask {key}")


def environment() -> dict[str, Any]:
    """What the bits of a choice depend on besides its inputs: the machine, the versions, the threads."""
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
        "packages": {name: _version(name) for name in ("numpy", "torch", "gpytorch", "botorch")},
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        found["threads"] = torch.get_num_threads()
    return found


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        return platform.processor()


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def moved(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """In words, what of the environment differs from the iteration before."""
    return [
        f"{name}: {before.get(name)} → {now.get(name)}"
        for name in sorted({*before, *now})
        if name in before and name in now and before[name] != now[name]
    ]
