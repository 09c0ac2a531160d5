"""An iteration chosen once more from its recorded events, and compared with what was committed, bit for bit.

The choice is made from the events that it was based upon (`basis`), with the policy's settings and the candidates of that
moment, under the threads of then; results that came in between the choice and its commit do not enter. Where bits differ,
the reason is looked for in what was recorded of versions, processor and threads.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from discover import registry, threads
from discover.campaign.asking.asking import environment, moved, view_of
from discover.campaign.asking.choosing import BY_HAND
from discover.campaign.asking.deciding import Decision, decide
from discover.campaign.pool.pooling import Candidates, candidates_of
from discover.campaign.terms import without_terms
from discover.errors import InvalidInput, Problem, UnknownKind, nearest
from discover.objective import Objective
from discover.policy.named import named_columns
from discover.protocols import Policy
from discover.store.canonical import canonical, plain
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.trials import Iteration
from discover.version import VERSION

if TYPE_CHECKING:
    from discover.campaign import Campaign

COMPARED = (
    *("candidate_id", "policy", "reason", "probability", "predicted", "acquisition", "rank", "details"),
)  # fmt: skip
"""What of a proposal is chosen; its id and its candidate follow from the store."""
APART = ("environment", "features", "seed")
"""What of the learned is about the computation and not of it."""
SHOWN = 20


@dataclass(frozen=True)
class Replay:
    """What a replay found. `differences` are empty where every bit is the same; `reasons` say why it may not be."""

    iteration: int
    key: str | None
    proposals: int
    basis: int
    nothing: str = ""
    differences: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether the same was chosen, believed and learned, bit for bit."""
        return not self.differences and not self.nothing

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return plain({**asdict(self), "identical": self.identical})

    def __str__(self) -> str:
        name = f"iteration {self.iteration}" + (f" ({self.key})" if self.key else "")
        if self.nothing:
            return f"{name}: {self.nothing}"
        based = f"{self.proposals} proposals from the events up to {self.basis}"
        if self.identical:
            return f"{name}: identical: {based}"
        lines = [f"{name}: {len(self.differences)} differences: {based}"]
        lines += [f"  {line}" for line in self.differences[:SHOWN]]
        if len(self.differences) > SHOWN:
            lines.append(f"  … and {len(self.differences) - SHOWN} more")
        lines.append("why bits cannot be promised:" if self.reasons else "nothing recorded explains it")
        return "\n".join([*lines, *(f"  {reason}" for reason in self.reasons)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def replay(campaign: Campaign, which: int | str) -> Replay:
    """Choose an iteration (its number or its key) once more and compare; nothing is written.

    InvalidInput for an iteration that there is not; UnknownKind where its policy is not installed.
    """
    iteration = _iteration(campaign.ledger, which)
    told = (iteration.number, iteration.key, len(iteration.proposal_ids), iteration.basis)
    if iteration.policy == BY_HAND:
        return Replay(*told, nothing="chosen by a person: there is nothing to replay")
    stored = campaign._journal.log.read(campaign.name, after=iteration.seq - 1, until=iteration.seq)[0].payload
    ledger = Ledger().apply(campaign._journal.log.read(campaign.name, until=iteration.basis))
    candidates = candidates_of(ledger, campaign.snapshots, campaign.files / "features")
    then = dict(stored["learned"].get("environment", {}))
    with threads.using(int(then.get("threads", threads.count()))):
        decision = _decide(campaign, ledger, candidates, iteration)
        now = environment() | {"threads": threads.count(), "discover": VERSION}
    differences = tuple(_differences(stored, decision))
    reasons = _reasons(campaign.ledger, iteration, then, now, stored, candidates) if differences else ()
    return Replay(*told, differences=differences, reasons=tuple(reasons))


def _iteration(ledger: Ledger, which: int | str) -> Iteration:
    if which in ledger.keys:
        return ledger.keys[str(which)]
    number = str(which)
    known = {str(i.number): i for i in ledger.iterations}
    if number not in known:
        hint = nearest(number, [*ledger.keys, *known])[:300] if known else "nothing was proposed yet"
        raise InvalidInput("replay", [Problem("there is no such iteration", value=which, way_out=hint)])
    return known[number]


def _decide(campaign: Campaign, ledger: Ledger, candidates: Candidates, iteration: Iteration) -> Decision:
    objective = Objective.from_dict(ledger.definition["objective"])
    policy = _policy(campaign, ledger)
    view = view_of(ledger, objective, candidates.pool, candidates.features, iteration.fixed)
    view = replace(view, columns=named_columns(policy, candidates.pool))
    return decide(view, ledger.definition, policy, iteration.n, iteration.key)


def _policy(campaign: Campaign, ledger: Ledger) -> Policy:
    """The policy as it was set then; one that no package names is the campaign's own."""
    try:
        found: Policy = registry.configure(registry.POLICIES, without_terms(ledger.definition["policy"]))
    except UnknownKind:
        if campaign._policy is None:
            raise
        return campaign._policy
    return found


def _differences(stored: Mapping[str, Any], decision: Decision) -> Iterator[str]:
    if stored["seen"] != decision.seen:
        yield f"data seen: {stored['seen'][:12]}… then, {decision.seen[:12]}… now"
    if stored["learned"].get("seed") != str(decision.seed):
        yield f"seed: {stored['learned'].get('seed')} then, {decision.seed} now"
    yield from _between("shortage", stored["shortage"], decision.batch.shortage)
    then = [{name: item[name] for name in COMPARED} for item in stored["proposals"]]
    now = [{name: value for name, value in asdict(p).items() if name in COMPARED} for p in decision.batch]
    yield from _between("proposals", then, plain(now))
    learned = {name: value for name, value in stored["learned"].items() if name not in APART}
    yield from _between("learned", learned, plain(dict(decision.batch.learned)))


def _between(path: str, then: Any, now: Any) -> Iterator[str]:
    """Every place at which two JSON values differ, in any bit."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for name in sorted({*then, *now}):
            yield from _between(f"{path}.{name}", then.get(name), now.get(name))
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for place, (one, other) in enumerate(zip(then, now, strict=True)):
            yield from _between(f"{path}[{place}]", one, other)
    elif canonical(then) != canonical(now):
        yield f"{path}: {_short(then)} then, {_short(now)} now"


def _short(value: Any) -> str:
    text = canonical(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _reasons(
    ledger: Ledger,
    iteration: Iteration,
    then: dict[str, Any],
    now: dict[str, Any],
    stored: Mapping[str, Any],
    candidates: Candidates,
) -> Iterator[str]:
    yield from moved(then, now)
    made = stored["learned"].get("features")
    if made is not None and made != candidates.features.hash:
        yield f"features: {made[:12]}… → {candidates.features.hash[:12]}…: featurizers of another version make them"
    for seq, _, text in ledger.notes:
        if seq <= iteration.seq and text.startswith("not bit-reproducible"):
            yield f"event {seq}: {text}"
