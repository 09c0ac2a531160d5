"""Rows of results to events: what each becomes is decided against the ledger, before anything is written."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import asdict, replace
from typing import Any

import pandas as pd

from discover.campaign.rows import Row, read
from discover.candidates.pool import CandidatePool
from discover.errors import InvalidInput, Problem, nearest
from discover.objective import Objective
from discover.protocols import Observation
from discover.store.canonical import canonical
from discover.store.events import Draft
from discover.store.journal import Journal
from discover.store.ledger import Failure, Ledger, Trial, candidate_identity, identity
from discover.store.life import State


class Teller:
    """Holds rows against the ledger: what each becomes, and the events that say so."""

    def __init__(self, ledger: Ledger, objective: Objective, ids: Container[str], *, correcting: str | None = None):
        self.ledger = ledger
        self.objective = objective
        self.ids = ids
        self.correcting = correcting
        self.drafts: list[Draft] = []
        self.became: list[dict[str, Any]] = []
        self.problems: list[Problem] = []
        self._new: dict[str, Observation] = {}
        self._new_by_candidate: dict[str, list[str]] = {}
        self._failed_now: dict[str, tuple[str, str]] = {}
        self._values_now: dict[str, set[str]] = {}

    def tell(self, rows: Sequence[Row]) -> Teller:
        """Take in all rows in order."""
        for row in rows:
            self._tell(row)
        return self

    def _wrong(
        self, row: Row, message: str, *, column: str | None = None, value: Any = None, way_out: str = ""
    ) -> None:
        self.problems.append(Problem(message, row.label, column, value, way_out))

    def _became(self, row: Row, candidate: str, trial: Trial | None, what: str, remark: str = "") -> None:
        proposal_id = trial.proposal.proposal_id if trial else ""
        self.became.append(
            {"row": row.label, "id": candidate, "proposal_id": proposal_id, "became": what, "remark": remark}
        )

    def _tell(self, row: Row) -> None:
        trial, candidate, remark = self._whose(row)
        if candidate is None:
            return
        if row.status in ("failed", "infeasible"):
            self._tell_failure(row, trial, candidate, remark)
        elif not row.values:
            if row.status is not None:
                targets = " or ".join(self.objective.names)
                self._wrong(row, f"status {row.status!r}, but no value of {targets}", column="status", value=row.status,
                            way_out="give the value, or leave the status empty if it is not measured yet")  # fmt: skip
            else:
                self._became(row, candidate, trial, "not measured yet", remark)
        elif row.status == "censored" and not any(bound for _, _, bound in row.values.values()):
            target = next(iter(row.values))
            self._wrong(
                row, "a censored value needs its side", column=f"{target}_bound", way_out="write 'below' or 'above'"
            )
        else:
            self._tell_values(row, trial, candidate, remark)

    def _whose(self, row: Row) -> tuple[Trial | None, str | None, str]:
        """The proposal and candidate that a row is about, and a remark where one was found by the other."""
        if row.candidate_id is not None and row.candidate_id not in self.ids:
            self._wrong(row, "no such candidate in the pool", column="id", value=row.candidate_id)
            return None, None, ""
        if row.proposal_id is not None:
            trial = self.ledger.trials.get(row.proposal_id)
            if trial is None:
                way_out = (
                    nearest(row.proposal_id, self.ledger.trials)[:300]
                    if self.ledger.trials
                    else "nothing was proposed yet"
                )
                self._wrong(
                    row,
                    "no such proposal in this campaign",
                    column="proposal_id",
                    value=row.proposal_id,
                    way_out=way_out,
                )
                return None, None, ""
            own = trial.proposal.candidate_id
            if row.candidate_id not in (None, own):
                self._wrong(
                    row, f"proposal {row.proposal_id} is of candidate {own!r}", column="id", value=row.candidate_id
                )
                return None, None, ""
            return trial, own, ""
        if row.candidate_id is None:
            self._wrong(
                row, "names neither a proposal nor a candidate", way_out="fill in proposal_id or the candidate's id"
            )
            return None, None, ""
        trial = self.ledger.open_trial(row.candidate_id)
        if trial is not None and not self._taken(trial, row):
            return trial, row.candidate_id, f"fulfils the open proposal {trial.proposal.proposal_id}"
        return None, row.candidate_id, ""

    def _taken(self, trial: Trial, row: Row) -> bool:
        told = self._values_now.get(trial.proposal.proposal_id, set())
        return bool(row.values) and told >= set(self.objective.names)

    def _tell_values(self, row: Row, trial: Trial | None, candidate: str, remark: str) -> None:
        pid = trial.proposal.proposal_id if trial else None
        wrote = fixed = conflict = False
        for target, (value, std, bound) in row.values.items():
            observation = Observation(
                candidate_id=candidate, target=target, value=value, std=std, bound=bound,  # type: ignore[arg-type]
                unit=self.objective.target(target).unit, replicate=row.replicate, fidelity=row.fidelity,
                context=row.context, cost=row.cost if not wrote else None, source=row.source,
                measured_at=row.measured_at, note=row.note, proposal_id=pid, extra=row.extra,
            )  # fmt: skip
            key, known = self._known(observation)
            if known is None:
                if trial is not None and not self._may_follow(row, trial):
                    return
                self._write(key, observation, trial)
                wrote = True
            elif _same(known, observation):
                pid = known.proposal_id or pid
            elif self.correcting is not None:
                corrected = replace(observation, proposal_id=known.proposal_id)
                self._correct([key], corrected, None)
                fixed = True
            else:
                conflict = True
                self._wrong(row, f"was already told as {_show(known)}, now {_show(observation)}", column=target, value=value,
                            way_out="a second measurement needs its own replicate; a mistake is mended with correct(…)")  # fmt: skip
        if conflict:
            return
        what = "corrected" if fixed else self._state_after(row, trial) if wrote else "already known"
        self._became(row, candidate, self.ledger.trials.get(pid or ""), what, remark)

    def _state_after(self, row: Row, trial: Trial | None) -> str:
        have = set(row.values) | (set(trial.values) if trial else set())
        if trial is not None:
            have |= self._values_now.get(trial.proposal.proposal_id, set())
        if not have >= set(self.objective.names):
            return State.IN_PART.value
        return (State.CENSORED if any(b for _, _, b in row.values.values()) else State.MEASURED).value

    def _known(self, observation: Observation) -> tuple[str, Observation | None]:
        """The identity of an observation, and what the store or this frame already has under it."""
        key = identity(observation)
        if (same_key := self._at(key)) is not None:
            return key, same_key
        if observation.proposal_id is None:
            alias = candidate_identity(observation)
            others = [*self.ledger.known_as.get(alias, ()), *self._new_by_candidate.get(alias, ())]
            same = (other for other in others if _same(self._at(other), observation))
            found = next(same, others[-1] if others else None)
            if found is not None:
                return found, self._at(found)
        return key, None

    def _at(self, key: str) -> Observation | None:
        return self._new.get(key) or self.ledger.observations.get(key)

    def _may_follow(self, row: Row, trial: Trial) -> bool:
        state = self.ledger.state(trial)
        pid = trial.proposal.proposal_id
        if pid in self._failed_now or (state in (State.FAILED, State.INFEASIBLE) and self.correcting is None):
            self._wrong(row, f"proposal {pid} was recorded as {state.value}", column="proposal_id", value=pid,
                        way_out="mend it with correct(…), or propose the candidate again with propose(…)")  # fmt: skip
            return False
        return True

    def _write(self, key: str, observation: Observation, trial: Trial | None) -> None:
        self._new[key] = observation
        self._new_by_candidate.setdefault(candidate_identity(observation), []).append(key)
        if trial is not None:
            self._values_now.setdefault(trial.proposal.proposal_id, set()).add(observation.target)
            if self.correcting is not None and trial.failures:
                self._correct([key], observation, None)
                return
        body = {"identity": key, "observation": _body(observation)}
        self.drafts.append(Draft("observed", body, identity=f"observed {key}"))

    def _correct(self, keys: list[str], observation: Observation | None, failure: Failure | None) -> None:
        body = {
            "replaces": keys,
            "identity": keys[0] if keys else None,
            "observation": _body(observation) if observation else None,
            "failure": _body(failure) if failure else None,
            "reason": self.correcting,
        }
        self.drafts.append(Draft("corrected", body))

    def _tell_failure(self, row: Row, trial: Trial | None, candidate: str, remark: str) -> None:
        if row.values:
            target = next(iter(row.values))
            self._wrong(row, f"status {row.status!r} cannot have a value", column=target, value=row.values[target][0],
                        way_out="leave the value empty, or the status")  # fmt: skip
            return
        failure = Failure(
            candidate_id=candidate, status=str(row.status), reason=row.note or str(row.status), retryable=False,
            proposal_id=trial.proposal.proposal_id if trial else None, attempt=max(1, trial.attempts) if trial else 0,
            replicate=row.replicate, source=row.source, note=row.note, cost=row.cost, measured_at=row.measured_at,
            fidelity=row.fidelity, context=row.context, extra=row.extra,
        )  # fmt: skip
        known = self._known_failure(failure)
        if known is not None and known == failure.status:
            self._became(row, candidate, trial, "already known", remark)
            return
        measured = self._measured(failure)
        if known is not None or (measured and trial is not None):
            if self.correcting is None:
                self._wrong(row, f"was already told as {known or 'measured'}, now {failure.status}", column="status",
                            value=row.status, way_out="mend it with correct(…)")  # fmt: skip
                return
            self._correct(measured, None, failure)
        else:
            who = failure.proposal_id or canonical([candidate, failure.source])
            key = canonical(
                ["failed", who, failure.attempt, failure.replicate, failure.fidelity, dict(failure.context)]
            )
            self.drafts.append(Draft("failed", {"failure": _body(failure)}, identity=key))
        self._failed_now[failure.proposal_id or candidate] = (failure.status, failure.reason)
        self._became(row, candidate, trial, failure.status, remark)

    def _known_failure(self, failure: Failure) -> str | None:
        """The status under which this failure is already known, if it is."""
        if now := self._failed_now.get(failure.proposal_id or failure.candidate_id):
            return now[0]
        if failure.proposal_id:
            earlier = self.ledger.trials[failure.proposal_id].failures
        else:
            mine = self.ledger.by_candidate.get(failure.candidate_id, ())
            earlier = [
                f
                for f in self.ledger.elsewhere
                if f.candidate_id == failure.candidate_id and f.source == failure.source
            ]
            earlier += [f for t in mine for f in t.failures if f.source == failure.source]
        return next((f.status for f in earlier if not f.retryable and f.replicate == failure.replicate), None)

    def _measured(self, failure: Failure) -> list[str]:
        if failure.proposal_id is None:
            return []
        trial = self.ledger.trials[failure.proposal_id]
        now = [key for key, o in self._new.items() if o.proposal_id == failure.proposal_id]
        return [key for group in trial.values.values() for key in group] + now


def _body(value: Observation | Failure) -> dict[str, Any]:
    body = asdict(value)
    body.pop("seq")
    return body


def _same(one: Observation | None, other: Observation) -> bool:
    return one is not None and (one.value, one.std, one.bound) == (other.value, other.std, other.bound)


def _show(observation: Observation) -> str:
    side = {"below": "≤ ", "above": "≥ ", None: ""}[observation.bound]
    spread = f" ± {observation.std!r}" if observation.std is not None else ""
    return f"{side}{observation.value!r}{spread}"


def refuse(problems: Sequence[Problem], what: str) -> None:
    """InvalidInput if there is any problem."""
    if problems:
        raise InvalidInput(what, problems)


def tell_frame(
    journal: Journal,
    objective: Objective,
    pool: CandidatePool,
    results: pd.DataFrame,
    extra: Sequence[str],
    correcting: str | None,
    dry_run: bool,
) -> pd.DataFrame:
    """Read, check and, unless it is a dry run, commit a frame of results; what each row became."""
    columns = [*pool.columns, *([pool.structure] if pool.structure else [])]
    rows, problems = read(results, objective, pool.id, columns, list(extra))
    told: list[dict[str, Any]] = []

    def decide(ledger: Ledger) -> Sequence[Draft]:
        teller = Teller(ledger, objective, pool, correcting=correcting).tell(rows)
        refuse([*problems, *teller.problems], "results")
        told.extend(teller.became)
        return teller.drafts

    if dry_run:
        decide(journal.refresh())
    else:
        journal.transact(decide)
    frame = pd.DataFrame(told, columns=["row", "id", "proposal_id", "became", "remark"])
    return frame.rename(columns={"id": pool.id})
