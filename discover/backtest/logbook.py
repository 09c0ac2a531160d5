"""The log of a campaign as random choices between arms, and what each arm would have given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from discover.backtest.logged import LEAST, Log, Method, evaluate
from discover.errors import InvalidInput, Problem, Unsupported
from discover.policy.bandit.arms import Arms
from discover.policy.named import named_columns
from discover.values import FloatArray

if TYPE_CHECKING:
    from discover.campaign.reading.reader import Reader
    from discover.store.ledger.trials import Trial


@dataclass(frozen=True)
class _Named:
    columns: tuple[str, ...]


def log_of(campaign: Reader, arms: Sequence[str] = (), scope: Sequence[str] = ()) -> Log:
    """Choices of a campaign over listed candidates, in their order: the arm, the member of the scope, the outcome, turned so
    that large is good, and the arm's probability at its turn.

    arms, scope: columns; by default those of the campaign's policy. A bandit has stored the probability of its arms. Of
    candidates drawn evenly it is the arm's share of those that had not been proposed, and what limits of a batch or
    exclusions made of it is not known: where a campaign has such, these choices have no probability. Others have none either.
    """
    from discover.campaign.terms import Terms
    from discover.candidates.space.points import Points

    arms = tuple(arms) or tuple(getattr(campaign.policy, "arms", ()))
    scope = tuple(scope) or tuple(getattr(campaign.policy, "scope", ()))
    if not arms:
        hint = "name the columns whose values are the arms"
        raise InvalidInput("evaluation", [Problem("no arms are known", column="arms", way_out=hint)])
    if len(campaign.objective.targets) != 1:
        raise Unsupported("an evaluation needs one target, whose value is the reward")
    pool = campaign.pool
    if isinstance(pool, Points):
        raise Unsupported("an evaluation needs a list of candidates: of a space nobody knows what else could be chosen")
    columns = named_columns(_Named((*arms, *scope)), pool)
    coded = Arms.of(replace(campaign.view(), columns=columns), arms, scope)
    ledger = campaign.ledger
    terms = Terms.of(ledger.definition["policy"])
    even = not (terms.columns or ledger.excluded or ledger.gone)
    rows = list(_rows(campaign, coded, even))
    known = [row for row in rows if row[2] is not None]
    return Log(
        np.array([row[0] for row in known], dtype=str),
        np.array([row[1] for row in known], dtype=str),
        np.array([row[2] for row in known], dtype=np.float64),
        np.array([row[3] for row in known], dtype=np.float64),
        np.array([row[4] for row in known], dtype=bool),
    )


def _rows(campaign: Reader, arms: Arms, even: bool) -> Iterator[tuple[str, str, float | None, float, bool]]:
    """(arm, member, reward, probability, whether all arms were possible) of every proposal; reward None without an outcome."""
    target = campaign.objective.targets[0]
    pool = campaign.pool
    left = arms.sizes.astype(np.float64)
    begun = left.copy()
    iteration, seen = 0, set[str]()
    for trial in campaign.ledger.trials.values():
        if trial.candidate_id not in pool:
            continue
        row = int(pool.rows([trial.candidate_id])[0])
        arm = int(arms.arm[row])
        if trial.iteration != iteration:  # what is drawn evenly is drawn first, whatever its rank
            iteration, begun = trial.iteration, left.copy()
        chance, open_ = _chance(trial, arm, begun, even)
        values = [o.value for o in trial.values.get(target.name, {}).values()]
        reward = float(np.mean(np.asarray(target.utility(np.array(values))))) if values else None
        yield arms.names[arm], arms.substrates[int(arms.scope[row])], reward, chance, open_
        if trial.candidate_id not in seen:
            seen.add(trial.candidate_id)
            left[arm] -= 1.0


def _chance(trial: Trial, arm: int, left: FloatArray, even: bool) -> tuple[float, bool]:
    """The probability of an arm at its turn, NaN where it is not known, and whether all arms were possible.

    left: [A], candidates of each that had not been proposed. even: whether what is drawn evenly was drawn from these.
    """
    proposal = trial.proposal
    details = proposal.details
    if "arm_probability" in details:
        return float(details["arm_probability"]), bool(details.get("all_arms", False))
    begins = proposal.policy == "contextual" and details.get("phase") == "start"
    evenly = begins or proposal.policy in ("random", "explore")
    if even and evenly and proposal.probability is not None and left[arm] > 0:
        return float(left[arm] / left.sum()), bool((left > 0).all())
    return float("nan"), False


def evaluate_arms(
    log: Log, method: Method = "doubly-robust", *, least: float = LEAST, generator: np.random.Generator | None = None
) -> list[dict[str, Any]]:
    """What each arm would give if it were always chosen, the best first; arms that cannot be evaluated last, with the reason.

    Unsupported where no arm can be.
    """
    found, refused = [], []
    for name in sorted(set(log.actions.tolist())):
        try:
            estimate = evaluate(log, {name: 1.0}, method, least=least, generator=generator)
            found.append({"arm": name, **estimate.to_dict()})
        except Unsupported as error:
            refused.append({"arm": name, "refused": str(error)})
    if not found:
        why = refused[0]["refused"] if refused else "nothing was logged"
        raise Unsupported(f"no arm can be evaluated from this log; {why}")
    return [*sorted(found, key=lambda one: -float(one["value"])), *refused]
