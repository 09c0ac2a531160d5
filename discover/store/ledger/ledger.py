"""The fold: from a campaign's events to what is true now. Pure; the same events always give the same ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from discover.errors import StoreError
from discover.objective import units_of
from discover.store.ledger.life import State
from discover.store.ledger.trials import (
    Failure,
    Iteration,
    Load,
    Trial,
    alike,
    failing,
    identity,
    read_observation,
    read_proposal,
)
from discover.store.log.events import Event
from discover.values import Observation, Spending


class Ledger:
    """Everything that a campaign's log says. `apply` takes events in order; nothing else changes it."""

    def __init__(self) -> None:
        self.seq = 0
        self.tip = ""
        self.definition: Mapping[str, Any] = {}
        self.definition_hash = ""
        self.pool: Mapping[str, Any] = {}
        self.pools: list[str] = []
        self.described: dict[str, Mapping[str, Any]] = {}
        self.gone: dict[str, str] = {}
        self.former: dict[str, str] = {}
        self.versions: dict[str, int] = {}
        self.targets: tuple[str, ...] = ()
        self.trials: dict[str, Trial] = {}
        self.by_candidate: dict[str, list[Trial]] = defaultdict(list)
        self.iterations: list[Iteration] = []
        self.keys: dict[str, Iteration] = {}
        self.observations: dict[str, Observation] = {}
        self.found: dict[str, dict[str, Observation]] = defaultdict(dict)
        self.retracted: dict[str, list[tuple[Observation, str]]] = defaultdict(list)
        self.elsewhere: list[Failure] = []
        self.unfailed: dict[str, list[list[str]]] = {}
        self.ended: dict[str, int] = {}
        self.excluded: dict[str, str] = {}
        self.notes: list[tuple[int, str, str]] = []
        self.stopped: str | None = None
        self.started = 0
        self.cost = 0.0
        self.open: dict[str, Trial] = {}
        self.load: Load | None = None

    def apply(self, events: Iterable[Event]) -> Ledger:
        """Take in further events. StoreError if one is missing between."""
        for event in events:
            if event.seq != self.seq + 1:
                raise StoreError(f"event {self.seq + 1} is missing from the store; next is {event.seq}")
            getattr(self, f"_{event.kind}")(event)
            self.seq, self.tip = event.seq, event.id
        return self

    def pending(self) -> list[Trial]:
        """Trials whose result is still expected, oldest first."""
        return sorted(self.open.values(), key=lambda trial: (trial.seq, trial.place))

    def open_trial(self, candidate_id: str) -> Trial | None:
        """The oldest open proposal of a candidate."""
        return next((t for t in self.by_candidate.get(candidate_id, ()) if t.state.pending), None)

    def blocked(self) -> dict[str, str]:
        """Candidates that a policy must not propose, with the reason."""
        found = {candidate: "measured" for candidate, known in self.found.items() if self._whole(known)}
        found |= {failure.candidate_id: failure.status for failure in self.elsewhere}
        for trial in self.trials.values():
            if trial.state.blocks:
                found[trial.candidate_id] = trial.state.value
        found |= self.gone | {kept: f"a former version of {candidate}" for kept, candidate in self.former.items()}
        return found | {candidate: f"excluded: {reason}" for candidate, reason in self.excluded.items()}

    def _whole(self, known: Mapping[str, Observation]) -> bool:
        return {o.target for o in known.values()} >= set(self.targets)

    def infeasible(self) -> set[str]:
        """Candidates that were tried and cannot give a number."""
        found = {f.candidate_id for f in self.elsewhere if f.status == "infeasible"}
        return found | {t.candidate_id for t in self.trials.values() if t.state is State.INFEASIBLE}

    def failed(self) -> set[str]:
        """Candidates that were tried, failed, and are not to be tried again."""
        found = {f.candidate_id for f in self.elsewhere if f.status == "failed"}
        return found | {t.candidate_id for t in self.trials.values() if t.state is State.FAILED}

    def failures(self) -> list[Failure]:
        """Every failure, of proposals and of candidates tried elsewhere, in order."""
        every = [failure for trial in self.trials.values() for failure in trial.failures]
        return sorted(every + self.elsewhere, key=lambda failure: failure.seq)

    @property
    def spending(self) -> Spending:
        """Experiments that were started or told of for a proposal, and their cost."""
        return Spending(self.started, self.cost)

    def _created(self, event: Event) -> None:
        self._pooled(event.payload.get("pool", {}))
        self._define(event)
        self.targets = tuple(units_of(self.definition["objective"]))

    def _redefined(self, event: Event) -> None:
        self._define(event)
        self.stopped = None

    def _repooled(self, event: Event) -> None:
        body = event.payload
        self._pooled(body["pool"])
        for candidate in body["returned"]:
            self.gone.pop(candidate, None)
        self.gone |= dict.fromkeys(body["removed"], "withdrawn by the source")
        for candidate, one in body["superseded"].items():
            self._rename(candidate, one["kept_as"])
            self.former[one["kept_as"]] = candidate
            self.versions[candidate] = self.versions.get(candidate, 1) + 1
        if body["added"] or body["returned"] or body["superseded"]:
            self.stopped = None

    def _pooled(self, pool: Mapping[str, Any]) -> None:
        self.pool = pool
        self.pools += [pool["snapshot"]] if pool else []

    def _rename(self, candidate: str, kept: str) -> None:
        """Everything that was proposed and found out of a candidate belongs to its former version from now on."""
        for trial in self.by_candidate.pop(candidate, ()):
            trial.candidate_id = kept
            self.by_candidate[kept].append(trial)
            for failure in trial.failures:
                failure.candidate_id = kept
        for failure in self.elsewhere:
            if failure.candidate_id == candidate:
                self._end(failing(failure))
                failure.candidate_id = kept
        for old, observation in self.found.pop(candidate, {}).items():
            renamed = replace(observation, candidate_id=kept)
            key = identity(renamed)
            if key != old:  # told without a proposal: the candidate's name is part of its identity
                del self.observations[old]
                self._end(old)
            self.observations[key] = self.found[kept][key] = renamed
            if observation.proposal_id in self.trials:
                self.trials[observation.proposal_id].values[observation.target][key] = renamed
        for old, known in list(self.retracted.items()):
            if known and known[0][0].candidate_id == candidate:
                mine = [(replace(observation, candidate_id=kept), why) for observation, why in self.retracted.pop(old)]
                self.retracted[identity(mine[0][0])] += mine

    def _define(self, event: Event) -> None:
        self.definition = event.payload["definition"]
        self.definition_hash = event.payload["hash"]

    def _proposed(self, event: Event) -> None:
        body = event.payload
        for place, item in enumerate(body["proposals"]):
            trial = Trial(
                item["proposal_id"], item["candidate_id"], body["iteration"], event.seq, place, event.time,
                rank=item["rank"], awaits_approval=body["approval"], deadline=body["deadline"],
                _load=self.load, _proposal=None if self.load else read_proposal(item),
            )  # fmt: skip
            self.trials[trial.proposal_id] = trial
            self.by_candidate[trial.candidate_id].append(trial)
            self.open[trial.proposal_id] = trial
        iteration = Iteration(
            number=body["iteration"], key=body["key"], n=body["n"],
            proposal_ids=tuple(item["proposal_id"] for item in body["proposals"]),
            shortage=body["shortage"], seen=body["seen"], policy=body["policy"], seq=event.seq, time=event.time,
            basis=event.seq - 1 if body["basis"] is None else body["basis"],
            verdict=str(body["learned"].get("verdict", "")), remembers="memory" in body["learned"],
            fixed=body.get("fixed", {}),
            _load=self.load, _learned=None if self.load else body["learned"],
        )  # fmt: skip
        self.iterations.append(iteration)
        if iteration.key is not None:
            self.keys[iteration.key] = iteration
        self.stopped = None

    def _approved(self, event: Event) -> None:
        for proposal_id in event.payload["proposal_ids"]:
            self.trials[proposal_id].approved = True
            self._touch(self.trials[proposal_id])

    def _submitted(self, event: Event) -> None:
        trial = self.trials[event.payload["proposal_id"]]
        trial.attempts = event.payload["attempt"]
        trial.worker = event.payload["worker"]
        trial.in_flight, trial.handle, trial.unsure = True, None, None
        self.started += 1
        self._touch(trial)

    def _dispatched(self, event: Event) -> None:
        trial = self.trials[event.payload["proposal_id"]]
        if event.payload["attempt"] == trial.attempts and trial.in_flight:
            trial.handle, trial.unsure = event.payload["handle"], None
            self._touch(trial)

    def _unsure(self, event: Event) -> None:
        trial = self.trials[event.payload["proposal_id"]]
        trial.unsure = event.payload["reason"]
        self._touch(trial)

    def _settled(self, event: Event) -> None:
        trial = self.trials[event.payload["proposal_id"]]
        trial.unsure = None
        if event.payload["submitted"]:
            trial.handle = {}
        else:
            trial.in_flight = False
            self.started -= 1
        self._touch(trial)

    def _described(self, event: Event) -> None:
        self.described |= {item["id"]: item for item in event.payload["candidates"]}

    def _observed(self, event: Event) -> None:
        observation = replace(read_observation(event.payload["observation"]), seq=event.seq)
        self._keep(str(event.payload["identity"]), observation)

    def _failed(self, event: Event) -> None:
        self._fail(Failure(**{**event.payload["failure"], "seq": event.seq}))

    def _corrected(self, event: Event) -> None:
        body = event.payload
        for key in body["replaces"]:
            if key in self.observations:
                self._forget(key)
        if body.get("observation") is not None:
            observation = replace(read_observation(body["observation"]), seq=event.seq)
            self._clear_failures(observation)
            self._keep(body["identity"], observation)
        else:
            failure = Failure(**{**body["failure"], "seq": event.seq})
            self._clear_failures(failure)
            self._fail(failure)

    def _retracted(self, event: Event) -> None:
        body = event.payload
        for key in body["replaces"]:
            self.retracted[key].append((self._forget(key), body["reason"]))
        for item in body["failures"]:
            failure = Failure(**item)
            self._clear_failures(failure)
            self.unfailed.setdefault(failing(failure), []).append([failure.status, body["reason"]])
        for proposal_id in body["proposal_ids"]:
            self.trials[proposal_id].retracted = True
            self._touch(self.trials[proposal_id])

    def _withdrawn(self, event: Event) -> None:
        for proposal_id in event.payload["proposal_ids"]:
            trial = self.trials[proposal_id]
            trial.withdrawn = str(event.payload["reason"])
            trial.in_flight, trial.unsure = False, None
            self._touch(trial)

    def _expired(self, event: Event) -> None:
        for proposal_id in event.payload["proposal_ids"]:
            trial = self.trials[proposal_id]
            trial.expired, trial.in_flight, trial.unsure = True, False, None
            self._touch(trial)

    def _excluded(self, event: Event) -> None:
        self.excluded |= dict.fromkeys(event.payload["ids"], event.payload["reason"])

    def _readmitted(self, event: Event) -> None:
        for candidate_id in event.payload["ids"]:
            self.excluded.pop(candidate_id, None)

    def _noted(self, event: Event) -> None:
        self.notes.append((event.seq, event.time, event.payload["text"]))

    def _stopped(self, event: Event) -> None:
        self.stopped = event.payload["reason"]

    def _touch(self, trial: Trial) -> None:
        """Work out a trial's state anew after something of it changed."""
        trial.state = trial.now(self.targets)
        if trial.state.pending:
            self.open[trial.proposal_id] = trial
        else:
            self.open.pop(trial.proposal_id, None)

    def _keep(self, key: str, observation: Observation) -> None:
        self.observations[key] = observation
        self.found[observation.candidate_id][key] = observation
        self._spend(observation.cost)
        trial = self._trial_of(observation)
        if trial is not None:
            trial.values.setdefault(observation.target, {})[key] = observation
            self._touch(trial)

    def _forget(self, key: str) -> Observation:
        observation = self.observations.pop(key)
        self._end(key)
        del self.found[observation.candidate_id][key]
        if not self.found[observation.candidate_id]:
            del self.found[observation.candidate_id]
        self.cost -= observation.cost or 0.0
        trial = self.trials.get(observation.proposal_id or "")
        if trial is not None:
            trial.values[observation.target].pop(key)
            if not trial.values[observation.target]:
                del trial.values[observation.target]
            self._touch(trial)
        return observation

    def _fail(self, failure: Failure) -> None:
        self._spend(failure.cost)
        trial = self._trial_of(failure)
        if trial is None:
            self.elsewhere.append(failure)
            return
        trial.failures.append(failure)
        self._touch(trial)

    def _trial_of(self, found: Observation | Failure) -> Trial | None:
        """The trial that a result belongs to; an attempt that nobody submitted counts as one."""
        trial = self.trials.get(found.proposal_id or "")
        if trial is not None:
            if not trial.attempts:
                trial.attempts = 1
                self.started += 1
            trial.in_flight, trial.unsure = False, None
        return trial

    def _clear_failures(self, found: Observation | Failure) -> None:
        """Forget the final failures in whose place something else was found."""
        trial = self.trials.get(found.proposal_id or "")
        failures = self.elsewhere if trial is None else trial.failures
        gone = [f for f in failures if not f.retryable and alike(f, found)]
        for failure in gone:
            self._end(failing(failure))
        self.cost -= sum(f.cost or 0.0 for f in gone)
        failures[:] = [f for f in failures if f not in gone]
        if trial is not None:
            self._touch(trial)

    def _end(self, key: str) -> None:
        """Count how often something stood at a place and does not any more: what stands there next is another event."""
        self.ended[key] = self.ended.get(key, 0) + 1

    def _spend(self, cost: float | None) -> None:
        self.cost += cost or 0.0
