"""What a campaign should do, as a dict of dicts: written from the design, without a look at the fold."""

from __future__ import annotations

TARGETS = ("yield", "ee")
LIMIT = 3
PENDING = {"proposed", "approved", "submitted", "measured in part", "failed, retryable"}
OPEN_TO_WORK = {"approved", "failed, retryable"}
FREE = {"withdrawn", "expired", "retracted"}
CONCLUDED = {"measured", "failed", "infeasible"}


class Refused(Exception):
    """The campaign must refuse this too, and change nothing."""


class Model:
    """Proposals by number; everything else beside them."""

    def __init__(self, candidates, approval, days):
        self.candidates = list(candidates)
        self.approval, self.days = approval, days
        self.proposals = {}
        self.keys = {}
        self.excluded = set()
        self.elsewhere = {}
        self.now = 0.0
        self.started = 0

    # what is asked of it

    def state(self, number):
        p = self.proposals[number]
        if {target for target, _ in p["values"]} == set(TARGETS):
            return "measured"
        if p["failures"] and not p["in flight"]:
            return list(p["failures"].values())[-1]
        if p["closed"]:
            return "withdrawn" if "withdrawn" in p["closed"] else "expired"
        if p["values"]:
            return "measured in part"
        if p["retracted"]:
            return "retracted"
        if p["in flight"]:
            return "submitted"
        if p["tries failed"]:
            return "failed, retryable" if p["attempts"] < LIMIT else "failed"
        return "approved" if p["approved"] else "proposed"

    def states(self):
        return [self.state(number) for number in self.proposals]

    def of(self, candidate):
        return [number for number, p in self.proposals.items() if p["candidate"] == candidate]

    def pending(self):
        return [number for number in self.proposals if self.state(number) in PENDING]

    def under_trial(self):
        """For the surrogate: where a result is awaited. One that failed and is to be tried again is not."""
        return {self.proposals[n]["candidate"] for n in self.pending() if self.state(n) != "failed, retryable"}

    def blocked(self):
        found = set(self.excluded)
        for candidate in self.candidates:
            known = {t for n in self.of(candidate) for t, _ in self.proposals[n]["values"]}
            known |= {t for t, _ in self.elsewhere.get(candidate, {}).get("values", {})}
            if known == set(TARGETS) or self.elsewhere.get(candidate, {}).get("failures"):
                found.add(candidate)
            if any(self.state(n) not in FREE for n in self.of(candidate)):
                found.add(candidate)
        return found

    def infeasible(self):
        """For the surrogate of failures: what cannot be, and what failed for good."""
        found = {c for c, e in self.elsewhere.items() if e["failures"]}
        return found | {p["candidate"] for n, p in self.proposals.items() if self.state(n) in ("infeasible", "failed")}

    def training(self, target):
        """(candidate, value), sorted."""
        places = [*self.proposals.values(), *({"candidate": c, **e} for c, e in self.elsewhere.items())]
        return sorted((p["candidate"], v) for p in places for (t, _), v in p["values"].items() if t == target)

    def workable(self):
        """In the order in which a worker takes them: what was cut off, then what may begin."""
        mine = [n for n in self.pending() if self.proposals[n]["candidate"] not in self.excluded]
        begun = [n for n in mine if self.state(n) == "submitted"]
        return begun + [n for n in mine if self.may_begin(n)]

    def may_begin(self, number):
        state = self.state(number)
        return state in OPEN_TO_WORK or (state == "proposed" and not self.proposals[number]["approval"])

    # what is done to it

    def propose(self, candidates, by_person=False):
        for candidate in candidates:
            if candidate in self.excluded or any(self.state(n) in PENDING for n in self.of(candidate)):
                raise Refused
        for candidate in candidates:
            self.proposals[len(self.proposals) + 1] = {
                "candidate": candidate, "approval": self.approval and not by_person, "approved": False, "attempts": 0,
                "due": None if by_person else self.now + self.days, "in flight": False, "closed": set(),
                "retracted": False, "values": {}, "failures": {}, "tries failed": 0,
                "taken back": {}, "failures taken back": {},
            }  # fmt: skip

    def expire(self):
        due = [n for n in self.pending() if (when := self.proposals[n]["due"]) is not None and when < self.now]
        for number in due:
            self.proposals[number]["closed"].add("expired")
            self.proposals[number]["in flight"] = False
        return due

    def approve(self, numbers):
        for number in numbers:
            if self.state(number) != "proposed" or not self.proposals[number]["approval"]:
                raise Refused
        for number in numbers:
            self.proposals[number]["approved"] = True

    def withdraw(self, numbers):
        if any(self.state(number) not in PENDING for number in numbers):
            raise Refused
        for number in numbers:
            self.proposals[number]["closed"].add("withdrawn")
            self.proposals[number]["in flight"] = False

    def exclude(self, candidate):
        self.excluded.add(candidate)

    def readmit(self, candidate):
        if candidate not in self.excluded:
            raise Refused
        self.excluded.remove(candidate)

    def begin(self, number):
        p = self.proposals[number]
        if not p["in flight"]:
            p["attempts"] += 1
            self.started += 1
        p["in flight"] = True

    def try_failed(self, number):
        p = self.proposals[number]
        p["in flight"] = False
        p["tries failed"] += 1

    def told(self, number):
        """A result came, whoever made it: one that nobody submitted is an attempt too."""
        p = self.proposals[number]
        if not p["attempts"]:
            p["attempts"] = 1
            self.started += 1
        p["in flight"] = False

    def place(self, number, candidate):
        """Where a result stands: with its proposal, or with its candidate."""
        if number is not None:
            return self.proposals[number]
        blank = {"values": {}, "failures": {}, "taken back": {}, "failures taken back": {}}
        return self.elsewhere.get(candidate, blank)

    def tell(self, number, values, status, replicate, *, candidate=None, correcting=False):
        p = self.place(number, candidate)
        failure = p["failures"].get(replicate)
        known = {t: v for (t, r), v in p["values"].items() if r == replicate}
        if correcting:
            back = any(r == replicate for _, r in p["taken back"]) or replicate in p["failures taken back"]
            if not known and failure is None and not back and not self.gave_up(number):
                raise Refused
        if status is not None:
            changed = self._tell_failure(p, known, failure, status, replicate, correcting)
        else:
            changed = self._tell_values(p, known, failure, values, replicate, correcting)
        if number is None and changed:
            self.elsewhere[candidate] = p
        elif changed:
            self.told(number)

    def _tell_failure(self, p, known, failure, status, replicate, correcting):
        if failure == status:
            return False
        if not correcting and (failure or known or status in p["failures taken back"].get(replicate, ())):
            raise Refused
        for target in known:
            del p["values"][target, replicate]
        p["failures"].pop(replicate, None)
        p["failures"][replicate] = status
        return True

    def _tell_values(self, p, known, failure, values, replicate, correcting):
        for target, value in values.items():
            if correcting:
                continue
            if failure or known.get(target, value) != value:
                raise Refused
            if target not in known and value in p["taken back"].get((target, replicate), ()):
                raise Refused
        new = {t: v for t, v in values.items() if known.get(t) != v}
        if new:
            p["failures"].pop(replicate, None)
        p["values"] |= {(target, replicate): value for target, value in new.items()}
        return bool(new)

    def gave_up(self, number):
        return number is not None and self.state(number) == "failed" and not self.proposals[number]["failures"]

    def retract(self, number):
        p = self.proposals[number]
        if not p["values"] and self.state(number) not in CONCLUDED:
            raise Refused
        self._take_back(p)
        p["retracted"] = True

    def retract_elsewhere(self, candidate):
        p = self.elsewhere.get(candidate)
        if p is None or not (p["values"] or p["failures"]):
            raise Refused
        self._take_back(p)

    def _take_back(self, p):
        for place, value in p["values"].items():
            p["taken back"].setdefault(place, set()).add(value)
        for replicate, status in p["failures"].items():
            p["failures taken back"].setdefault(replicate, set()).add(status)
        p["values"], p["failures"] = {}, {}
