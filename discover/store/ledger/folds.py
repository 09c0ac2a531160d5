"""Cached folds: a ledger as JSON beside the log, so that a long campaign opens at once.

A cached fold is not part of the truth. It carries its hash, the version of the code that made it and the id of the event up
to which it goes; one that does not fit the code or the log is left alone and the log is folded anew. Proposals and what was
learned stay in the log until somebody asks for them.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, make_url, select

from discover.errors import StoreError
from discover.store.canonical import canonical
from discover.store.database.places import path_of
from discover.store.database.schema import events, folds
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.life import PENDING, State
from discover.store.ledger.trials import Failure, Iteration, Load, Trial
from discover.store.log.log import EventLog
from discover.values import Observation

LEAST = 500
"""A fold is worth caching after so many events; later, after a tenth more."""
_HERE = Path(__file__).parent
CODE = (
    *(_HERE / f"{name}.py" for name in ("folds", "ledger", "life", "trials")),
    *(_HERE.parent / name for name in ("canonical.py", "log/events.py")),
    *(_HERE.parents[1] / f"{name}.py" for name in ("objective", "values")),
)
"""Modules that make a fold, or whose values it holds."""


def newest(log: EventLog, campaign: str) -> Ledger:
    """The ledger as it was cached last, or an empty one; the events after its `seq` are still to be applied."""
    load = loader(log, campaign)
    with log.database.reading() as connection:
        row = connection.execute(select(folds).where(folds.c.campaign == campaign)).first()
        last = select(events.c.id).where(events.c.campaign == campaign, events.c.seq == (row.seq if row else 0))
        tip = connection.execute(last).scalar()
    if row is not None and row.version == version() and _hash(row.body) == row.hash:
        with suppress(ArithmeticError, AttributeError, LookupError, TypeError, ValueError):  # it is none of ours
            with _no_collector():
                ledger = loaded(json.loads(row.body), load)
            # otherwise it is of another history, such as one that a backup has replaced
            if (ledger.seq, ledger.tip) == (row.seq, tip):
                return ledger
    ledger = Ledger()
    ledger.load = load
    return ledger


@contextmanager
def _no_collector() -> Iterator[None]:
    """A hundred thousand objects are made and none is garbage: looking for some would take longer than making them."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # together: what there is now counts as looked through, without a look
        gc.unfreeze()
        if on:
            gc.enable()


def keep(log: EventLog, campaign: str, ledger: Ledger, kept: int) -> int:
    """Cache the fold if enough was added since event `kept`; up to which event it is cached now.

    A cache that cannot be written (a full disk, a read-only file) is no reason to fail: the log is what counts.
    """
    if ledger.seq - kept < max(LEAST, kept // 10) or _in_memory(log):
        return kept
    body = canonical(dumped(ledger))
    row = {"campaign": campaign, "seq": ledger.seq, "version": version(), "hash": _hash(body), "body": body}
    try:
        with log.database.writing(campaign, written=lambda _: True) as connection:
            connection.execute(delete(folds).where(folds.c.campaign == campaign))
            connection.execute(insert(folds).values(**row))
    except StoreError:
        return ledger.seq  # tried; the next attempt comes after as many events again
    return ledger.seq


def loader(log: EventLog, campaign: str) -> Load | None:
    """How a ledger gets the body of a batch from the log. None for a store in memory, whose one connection may be busy."""
    if _in_memory(log):
        return None
    return lambda seq: log.read(campaign, after=seq - 1, until=seq)[0].payload


def _in_memory(log: EventLog) -> bool:
    url = log.database.url
    return make_url(url).get_backend_name() == "sqlite" and path_of(url) is None


@cache
def version() -> str:
    """A hash of the code that folds, and of the values that it holds: another fold is another version."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in CODE)).hexdigest()[:16]


def _hash(body: str | bytes) -> str:
    """Of what should be text; SQLite may hold anything."""
    return hashlib.sha256(body if isinstance(body, bytes) else str(body).encode()).hexdigest()


def dumped(ledger: Ledger) -> dict[str, Any]:
    """The ledger as plain JSON; of each value only what differs from its default."""
    plain = {name: getattr(ledger, name) for name in PLAIN}
    return plain | {
        "targets": list(ledger.targets),
        "trials": [_sparse(trial, TRIAL) for trial in ledger.trials.values()],
        "failures": [[pid, _sparse(f)] for pid, trial in ledger.trials.items() for f in trial.failures],
        "elsewhere": [_sparse(failure) for failure in ledger.elsewhere],
        "iterations": [_sparse(iteration, ITERATION) for iteration in ledger.iterations],
        "observations": [[key, _sparse(o)] for key, o in ledger.observations.items()],
        "retracted": [[key, [[_sparse(o), why] for o, why in known]] for key, known in ledger.retracted.items()],
    }


def loaded(body: dict[str, Any], load: Load | None) -> Ledger:
    """The ledger that `dumped` made this of."""
    ledger = Ledger()
    ledger.load = load
    for name in PLAIN:
        setattr(ledger, name, body[name])
    ledger.notes = [(seq, time, text) for seq, time, text in body["notes"]]
    ledger.targets = tuple(body["targets"])
    for item in body["trials"]:
        trial = _made(Trial, item | {"_load": load, "values": {}, "failures": [], "state": STATES[item["state"]]})
        ledger.trials[trial.proposal_id] = trial
        ledger.by_candidate[trial.candidate_id].append(trial)
        if trial.state in PENDING:
            ledger.open[trial.proposal_id] = trial
    for pid, failure in body["failures"]:
        ledger.trials[pid].failures.append(Failure(**failure))
    ledger.elsewhere = [Failure(**failure) for failure in body["elsewhere"]]
    for key, item in body["observations"]:
        observation = _made(Observation, item)
        ledger.observations[key] = observation
        ledger.found[observation.candidate_id][key] = observation
        owner = ledger.trials.get(observation.proposal_id or "")
        if owner is not None:
            owner.values.setdefault(observation.target, {})[key] = observation
    for key, known in body["retracted"]:
        ledger.retracted[key] = [(Observation(**item), why) for item, why in known]
    for item in body["iterations"]:
        iteration = Iteration(**{**item, "proposal_ids": tuple(item["proposal_ids"])}, _load=load)
        ledger.iterations.append(iteration)
        if iteration.key is not None:
            ledger.keys[iteration.key] = iteration
    return ledger


def _made(cls: Any, item: dict[str, Any]) -> Any:
    """A value of a dataclass, without the checks of its making: a hundred thousand are made when a long campaign opens."""
    value = cls.__new__(cls)
    value.__dict__.update(_defaults(cls), **item)
    return value


PLAIN = (
    *("seq", "tip", "definition", "definition_hash", "pool", "pools", "described", "gone", "former", "versions"),
    *("excluded", "notes", "stopped", "started", "cost", "unfailed", "ended"),
)
"""What of a ledger is plain JSON as it stands."""
STATES = {state.value: state for state in State}
TRIAL = tuple(f.name for f in fields(Trial) if f.name not in ("values", "failures", "_load", "_proposal"))
ITERATION = tuple(f.name for f in fields(Iteration) if not f.name.startswith("_"))


@cache
def _defaults(cls: Any) -> dict[str, Any]:
    return {
        f.name: f.default
        if f.default is not MISSING
        else f.default_factory()
        if f.default_factory is not MISSING
        else MISSING
        for f in fields(cls)
    }


def _sparse(value: Any, names: tuple[str, ...] | None = None) -> dict[str, Any]:
    """The fields that differ from their defaults."""
    defaults = _defaults(value.__class__)
    found = {name: getattr(value, name) for name in names or defaults}
    return {n: item for n, item in found.items() if n == "state" or defaults[n] is MISSING or item != defaults[n]}


def same(one: Ledger, other: Ledger) -> bool:
    """Whether two ledgers say the same."""
    return canonical(dumped(one)) == canonical(dumped(other))
