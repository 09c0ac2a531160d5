"""Rows of results to events: what each becomes is decided against the ledger, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from discover.campaign.telling.book import Book, Place, place
from discover.campaign.telling.cells import is_empty
from discover.campaign.telling.conditions import conditions_of, contradictions
from discover.campaign.telling.rows import Row
from discover.campaign.telling.transitions import way_out as possible_of
from discover.candidates.space.points import Points, Pool
from discover.errors import Problem, nearest
from discover.objective import Objective
from discover.store.canonical import canonical
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.life import State
from discover.store.ledger.trials import Failure, Trial, failing, identity
from discover.store.log.events import Draft
from discover.values import Observation

MEND = "mend it with correct(…)"


class Teller:
    """Holds rows against the ledger: what each becomes, and the events that say so.

    correcting: the reason for which earlier results may be replaced, or None where they may not.
    """

    def __init__(self, ledger: Ledger, objective: Objective, pool: Pool, *, correcting: str | None = None):
        self.ledger = ledger
        self.objective = objective
        self.pool = pool
        self.correcting = correcting
        self.book = Book(ledger)
        self.drafts: list[Draft] = []
        self.became: list[dict[str, Any]] = []
        self.problems: list[Problem] = []
        self.contradicting: list[Problem] = []
        self._described: set[str] = set()
        self._conditions: dict[str, dict[str, Any]] = {}

    def tell(self, rows: Sequence[Row], *, partial: bool = False) -> Teller:
        """Take in all rows in order. partial: what is wrong with a row leaves no trace of it but the refusal."""
        named = (row.candidate_id or self._proposed(row) for row in rows if row.told)
        self._conditions = conditions_of(self.pool, (name for name in named if name is not None))
        for row in rows:
            before, drafts, kept = len(self.problems), len(self.drafts), self.book.mark()
            self._tell(row)
            if partial and len(self.problems) > before:
                self.refuse(row, self.problems[before:])
                del self.problems[before:], self.drafts[drafts:]
                self._described = {
                    c["id"] for d in self.drafts if d.kind == "described" for c in d.payload["candidates"]
                }
                self.book = self.book.back_to(kept)
        return self

    def _proposed(self, row: Row) -> str | None:
        trial = self.ledger.trials.get(row.proposal_id or "")
        return trial.candidate_id if trial else None

    def refuse(self, row: Row, problems: Sequence[Problem]) -> None:
        """Note that a row was not taken, and why."""
        remark = "; ".join(str(replace(problem, row=None)) for problem in problems)
        self._became(row, row.candidate_id or "", row.proposal_id, "refused", remark)

    def _wrong(
        self, row: Row, message: str, *, column: str | None = None, value: Any = None, way_out: str = ""
    ) -> None:
        self.problems.append(Problem(message, row.label, column, value, way_out))

    def _became(self, row: Row, candidate: str, proposal_id: str | None, what: str, remark: str) -> None:
        remark = "; ".join(part for part in (remark, row.remark) if part)
        found = {"row": row.label, "id": candidate, "proposal_id": proposal_id or "", "became": what, "remark": remark}
        self.became.append(found)

    def _tell(self, row: Row) -> None:
        candidate = None if row.unread else self._candidate(row)
        if candidate is None or not self._agrees(row, candidate):
            return
        if row.point is not None and row.point.id != candidate:  # a spreadsheet has rounded it
            row = replace(row, point=None, remark="")
        self._describe(row, candidate)
        self.book.open(candidate)
        plain, row = row, self._of_this_version(row, candidate)
        trial, remark = self._trial(row, candidate)
        row = plain if trial is not None else row
        if row.status in ("failed", "infeasible"):
            self._tell_failure(row, trial, candidate, remark)
        elif row.values:
            self._tell_values(row, trial, candidate, remark)
        elif row.status is not None:
            message = f"status {row.status!r}, but no value of {' or '.join(self.objective.names)}"
            way_out = "give the value, or leave the status empty if it is not measured yet"
            self._wrong(row, message, column="status", value=row.status, way_out=way_out)
        else:
            what = "unchanged" if self.correcting is not None else "not measured yet"
            self._became(row, candidate, trial.proposal_id if trial else None, what, remark)

    def _candidate(self, row: Row) -> str | None:
        """The candidate that a row is about, or None where that is a problem."""
        if row.candidate_id is not None and not self._known(row) and row.no_point:
            self.problems += row.no_point
            return None
        if row.candidate_id is not None and not self._known(row):
            way_out = nearest(row.candidate_id, map(str, self.pool.ids)) if len(self.pool) <= 10_000 else ""
            way_out = way_out if way_out.startswith("did") else "did a spreadsheet change the id?"
            self._wrong(
                row, "no such candidate in the pool", column=self.pool.id, value=row.candidate_id, way_out=way_out
            )
            return None
        if row.proposal_id is None:
            if row.candidate_id is None:
                way_out = f"fill in proposal_id or {self.pool.id}"
                self._wrong(row, "names neither a proposal nor a candidate", way_out=way_out)
            return row.candidate_id
        trial = self.ledger.trials.get(row.proposal_id)
        if trial is None:
            known = self.ledger.trials
            way_out = nearest(row.proposal_id, known)[:300] if known else "nothing was proposed yet"
            message = "no such proposal in this campaign"
            self._wrong(row, message, column="proposal_id", value=row.proposal_id, way_out=way_out)
            return None
        own = trial.candidate_id
        if row.candidate_id not in (None, own, self.ledger.former.get(own)):
            message = f"proposal {row.proposal_id} is of candidate {own!r}"
            self._wrong(row, message, column=self.pool.id, value=row.candidate_id)
            return None
        return own

    def _known(self, row: Row) -> bool:
        """Whether there is such a candidate; one of a search space is made known by its values."""
        name = str(row.candidate_id)
        if row.point is not None and row.point.id == name:
            return True
        return name in self.pool or (isinstance(self.pool, Points) and name in self.ledger.described)

    def _agrees(self, row: Row, candidate: str) -> bool:
        """Whether a row's cells are those of its candidate, as far as they are there: as proposed, or as it is now."""
        if not row.told:
            return True
        trial = self.ledger.trials.get(row.proposal_id or "") or self.ledger.open_trial(candidate)
        proposed = trial.proposal.candidate if trial else None
        versions = [v for v in (proposed.values if proposed else {}, self._conditions.get(candidate, {})) if v]
        found = [contradictions(self.pool, row.told, version) for version in versions]
        if not found or not all(found):
            return True
        hint = "a cell was changed, or rows were mixed up: mend it"
        if row.point is not None:
            hint += f"; to tell what was done instead, leave proposal_id and {self.pool.id} empty"
        elif not row.no_point:
            hint += "; or leave this column out of the sheet"
        who = row.proposal_id or candidate
        wrong = [
            Problem(
                f"has no value in {who}" if is_empty(known) else f"is {known!r} in {who}",
                row.label,
                column,
                row.told[column],
                hint,
            )
            for column, known in found[0].items()
        ]
        self.contradicting += wrong
        self.problems += wrong
        return False

    def _describe(self, row: Row, candidate: str) -> None:
        """Write down the values of a point that was not known."""
        if row.point is None:
            return
        told = self.ledger.described
        if candidate not in self.ledger.by_candidate and candidate not in told and candidate not in self._described:
            self._described.add(candidate)
            body = {"candidates": [asdict(row.point)], **({"remark": row.remark} if row.remark else {})}
            self.drafts.append(Draft("described", body, identity=f"described {candidate}"))

    def _of_this_version(self, row: Row, candidate: str) -> Row:
        """The row; told by the id alone of a candidate that had other versions, it is of the one of now, and says so.

        The same place may hold a result of a former version, told before there was another.
        """
        version, where = self.ledger.versions.get(candidate), self._place(row, None, candidate)
        if row.proposal_id is not None or version is None or self.book.values(where) or self.book.failure(where):
            return row
        return replace(row, context={**row.context, "version": version})

    def _trial(self, row: Row, candidate: str) -> tuple[Trial | None, str]:
        """The proposal that a row fulfils, and a remark where it was found by the candidate alone."""
        if row.proposal_id is not None:
            return self.ledger.trials[row.proposal_id], ""
        if self._told_before(row, candidate):
            return None, ""
        trial = self.ledger.open_trial(candidate)
        if trial is None or self._fulfilled_here(row, trial) or (self.correcting is not None and not trial.values):
            return None, ""
        return trial, f"fulfils the open proposal {trial.proposal_id}"

    def _told_before(self, row: Row, candidate: str) -> bool:
        """Whether every value of a row is known of its candidate: then the same sheet is told again."""
        where = self._place(row, None, candidate)
        return bool(row.values) and all(
            any((o.value, o.std, o.bound) == value for _, o in self.book.values(where, target))
            for target, value in row.values.items()
        )

    def _fulfilled_here(self, row: Row, trial: Trial) -> bool:
        """Whether an earlier row of the same frame has closed the proposal."""
        where = self._place(row, trial, "")
        told = {o.target for _, o in self.book.values(where)}
        return told >= set(self.objective.names) or self.book.failure(where) is not None

    def _place(self, row: Row, trial: Trial | None, candidate: str) -> Place:
        pid = trial.proposal_id if trial else ""
        return place(pid, candidate, row.source, row.replicate, row.fidelity, row.context)

    def _tell_values(self, row: Row, trial: Trial | None, candidate: str, remark: str) -> None:
        where = self._place(row, trial, candidate)
        failure = self.book.failure(where)
        if row.status == "censored" and not any(bound for _, _, bound in row.values.values()):
            column = f"{next(iter(row.values))}_bound"
            self._wrong(row, "a censored value needs its side", column=column, way_out="write 'below' or 'above'")
            return
        if failure is not None and self.correcting is None:
            way_out = f"{MEND}, or propose the candidate again with propose(…)"
            value = next(iter(row.values.values()))[0]
            self._wrong(
                row,
                f"was already told as {failure.status}",
                column=next(iter(row.values)),
                value=value,
                way_out=way_out,
            )
            return
        pid = trial.proposal_id if trial else failure.proposal_id if failure else None
        if self._nothing_to_correct(row, trial, candidate, where):
            return
        outcomes = {
            self._tell_value(row, target, where, pid, candidate, failure, first) for first, target in _firsts(row)
        }
        if "conflict" in outcomes:
            return
        if "corrected" in outcomes:
            what = "corrected"
        else:
            what = self._state_after(row, where) if "written" in outcomes else "already known"
        known = self.book.values(where)
        self._became(row, candidate, known[-1][1].proposal_id if known else pid, what, remark)

    def _tell_value(
        self, row: Row, target: str, where: Place, pid: str | None, candidate: str, failure: Failure | None, first: bool
    ) -> str:
        """Write, correct or recognise one value; says which it was."""
        value, std, bound = row.values[target]
        observation = Observation(
            candidate_id=candidate, target=target, value=value, std=std, bound=bound,
            unit=self.objective.units[target], replicate=row.replicate, fidelity=row.fidelity,
            context=row.context, cost=row.cost if first else None, source=row.source, measured_at=row.measured_at,
            note=row.note, proposal_id=pid, extra=row.extra, raw=row.raw,
        )  # fmt: skip
        known = self.book.values(where, target)
        if any(_same(one, observation) for _, one in known):
            return "known"
        if not known:
            return self._tell_first(row, observation, failure)
        key, before = known[-1]
        if self.correcting is None:
            message = f"was already told as {_show(before)}, now {_show(observation)}"
            way_out = "a second measurement needs its own replicate; a mistake is mended with correct(…)"
            self._wrong(row, message, column=target, value=value, way_out=way_out)
            return "conflict"
        cost = before.cost if observation.cost is None else observation.cost
        corrected = replace(observation, proposal_id=before.proposal_id, cost=cost)
        self._correct([key], key, corrected, None)
        self.book.keep(key, corrected)
        return "corrected"

    def _tell_first(self, row: Row, observation: Observation, failure: Failure | None) -> str:
        """A value where none stands: none yet, none but a failure, or none since one was retracted."""
        key = identity(observation)
        back = self.ledger.retracted.get(key, [])
        same = next((why for one, why in back if _same(one, observation)), None)
        if same is not None and self.correcting is None:
            message, way_out = f"this value was retracted: {same}", "correct(…) puts it back"
            self._wrong(row, message, column=observation.target, value=observation.value, way_out=way_out)
            return "conflict"
        if failure is not None or (back and self.correcting is not None):
            self._correct([], key, observation, None)
        else:
            again = f" again {ended}" if (ended := self.ledger.ended.get(key)) else ""
            body = {"identity": key, "observation": _body(observation)}
            self.drafts.append(Draft("observed", body, identity=f"observed {key}{again}"))
        self.book.keep(key, observation)
        return "written" if failure is None and not (back and self.correcting) else "corrected"

    def _nothing_to_correct(self, row: Row, trial: Trial | None, candidate: str, where: Place) -> bool:
        """Whether a correction has nothing before it, and says so. What was retracted is before it, too."""
        if self.correcting is None or self.book.values(where) or self.book.failure(where):
            return False
        blank = Observation(candidate, "", 0.0, proposal_id=trial.proposal_id if trial else None, source=row.source,
                            replicate=row.replicate, fidelity=row.fidelity, context=row.context)  # fmt: skip
        back = any(identity(replace(blank, target=name)) in self.ledger.retracted for name in self.objective.names)
        if back or failing(blank) in self.ledger.unfailed or (trial is not None and trial.gave_up):
            return False
        also = f"; {possible_of(trial)}" if trial else ""
        self._wrong(row, "nothing was told here that could be corrected", way_out=f"tell(…) it{also}")
        return True

    def _state_after(self, row: Row, where: Place) -> str:
        if not {o.target for _, o in self.book.values(where)} >= set(self.objective.names):
            return State.IN_PART.value
        return (State.CENSORED if any(bound for _, _, bound in row.values.values()) else State.MEASURED).value

    def _correct(
        self, replaces: list[str], key: str | None, observation: Observation | None, failure: Failure | None
    ) -> None:
        body = {
            "replaces": replaces,
            "identity": key,
            "observation": _body(observation) if observation else None,
            "failure": _body(failure) if failure else None,
            "reason": self.correcting,
        }
        self.drafts.append(Draft("corrected", body))

    def _tell_failure(self, row: Row, trial: Trial | None, candidate: str, remark: str) -> None:
        where = self._place(row, trial, candidate)
        before, values = self.book.failure(where), self.book.values(where)
        if row.values:
            target = next(iter(row.values))
            value, way_out = row.values[target][0], "leave the value empty, or the status"
            self._wrong(row, f"status {row.status!r} cannot have a value", column=target, value=value, way_out=way_out)
            return
        if self._nothing_to_correct(row, trial, candidate, where):
            return
        earlier = before or (values[-1][1] if values else None)
        pid = trial.proposal_id if trial else earlier.proposal_id if earlier else None
        failure = self._failure(row, candidate, pid)
        if before is not None and before.status == failure.status:
            self._became(row, candidate, pid, "already known", remark)
            return
        if earlier is not None and self.correcting is None:
            told = before.status if before else "measured"
            message = f"was already told as {told}, now {failure.status}"
            self._wrong(row, message, column="status", value=row.status, way_out=MEND)
            return
        back = self.ledger.unfailed.get(failing(failure), [])
        same = next((why for status, why in back if status == failure.status), None)
        if same is not None and self.correcting is None:
            message, way_out = f"this failure was retracted: {same}", "correct(…) puts it back"
            self._wrong(row, message, column="status", value=row.status, way_out=way_out)
            return
        if corrected := earlier is not None or (bool(back) and self.correcting is not None):
            self._correct([key for key, _ in values], None, None, failure)
        else:
            again = f" again {ended}" if (ended := self.ledger.ended.get(failing(failure))) else ""
            self.drafts.append(Draft("failed", {"failure": _body(failure)}, identity=_failed_key(failure) + again))
        self.book.fail(failure)
        self._became(row, candidate, pid, "corrected" if corrected else failure.status, remark)

    def _failure(self, row: Row, candidate: str, pid: str | None) -> Failure:
        return Failure(
            candidate_id=candidate, status=str(row.status), reason=row.note or str(row.status), retryable=False,
            proposal_id=pid, attempt=max(1, self.ledger.trials[pid].attempts) if pid else 0, replicate=row.replicate,
            source=row.source, note=row.note, cost=row.cost, measured_at=row.measured_at, fidelity=row.fidelity,
            context=row.context, extra=row.extra, raw=row.raw,
        )  # fmt: skip


def _failed_key(failure: Failure) -> str:
    who = failure.proposal_id or canonical([failure.candidate_id, failure.source])
    return canonical(["failed", who, failure.attempt, failure.replicate, failure.fidelity, dict(failure.context)])


def _firsts(row: Row) -> list[tuple[bool, str]]:
    """The row's targets; the first one carries the cost."""
    return [(place == 0, target) for place, target in enumerate(row.values)]


def _body(value: Observation | Failure) -> dict[str, Any]:
    body = asdict(value)
    body.pop("seq")
    return body


def _same(one: Observation, other: Observation) -> bool:
    return (one.value, one.std, one.bound) == (other.value, other.std, other.bound)


def _show(observation: Observation) -> str:
    side = {"below": "≤ ", "above": "≥ ", None: ""}[observation.bound]
    spread = f" ± {observation.std!r}" if observation.std is not None else ""
    return f"{side}{observation.value!r}{spread}"
