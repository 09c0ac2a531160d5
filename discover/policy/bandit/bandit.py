"""Bandits: which conditions are general? Conditions are arms, substrates their scope, and what is gained is a reward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from discover.errors import InvalidInput, Problem, nearest
from discover.kinds import typed
from discover.objective import Objective
from discover.policy.bandit.arms import Arms, Goal, Reward, Tally, check_objective, option_problems
from discover.policy.bandit.belief import Prior, believe
from discover.policy.bandit.rules import CHANCES, Rule, Turn, chances, remaining, shares_best
from discover.policy.bandit.standing import Standing
from discover.policy.bandit.worth import ArmBelief
from discover.policy.choice import beginners, checked_count, free_rows, shortage, with_chosen
from discover.protocols import View
from discover.values import Batch, BoolArray, FloatArray, IntArray, Prediction, Proposal

RULES = ("ucb1", "ucb1-tuned", "bayes-ucb", "thompson", "successive-elimination", "epsilon-greedy", "exp3")


@dataclass(frozen=True)
@typed
class Bandit:
    """Learn which arm is the best over its scope: which ligand and base are good for most substrates.

    arms: columns whose combinations of values are the arms. scope: columns whose combinations are what an arm is to be good
    for. A candidate is one arm on one member of the scope. objective: what an arm is worth: the mean over the scope, the
    fraction of it that reaches `threshold` (fraction-above), or the minimum.

    rule: ucb1, ucb1-tuned, bayes-ucb: the arm with the highest upper limit; thompson: the best in a draw from what is
    believed; successive-elimination: all that are left in turn, until one is left; epsilon-greedy: the best so far, but for
    a share `epsilon`; exp3: for rewards that follow no law, a baseline, of which a share `epsilon` is for all arms. Within
    the arm a free candidate is drawn evenly; each proposal states the probability of both. confidence: with which
    successive elimination rules out an arm.

    prior: beta (a reward between 0 and 1 is that share of a success) or gaussian (rewards vary about their arm's mean and arms
    about a common one; how much is learned from all arms, and averaged over while it is uncertain).
    range: the outcomes between which a reward goes from 0 to 1; without it 0 to 100 where the unit is %, and otherwise
    what was observed so far.

    A batch is chosen one after the other, as if what is under way had given what is expected. What it knows is the
    observations, whoever chose them: candidates that gave nothing (infeasible) have reward 0, censored ones count at their
    limit. Wang et al., Nature 626, 1025 (2024).
    """

    arms: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    rule: Rule = "ucb1-tuned"
    objective: Goal = "mean"
    threshold: float | None = None
    prior: Prior = "gaussian"
    range: tuple[float, float] | None = None
    epsilon: float = 0.1
    confidence: float = 0.95

    def __post_init__(self) -> None:
        problems = option_problems(self.arms, self.scope, self.objective, self.threshold, self.range)
        choices = {"rule": RULES, "prior": ("beta", "gaussian")}
        problems += [
            Problem(
                "unknown choice",
                column=name,
                value=getattr(self, name),
                way_out=nearest(str(getattr(self, name)), known),
            )
            for name, known in choices.items()
            if getattr(self, name) not in known
        ]
        if not 0.0 <= self.epsilon <= 1.0 or (self.rule == "exp3" and self.epsilon == 0.0):
            problems.append(Problem("must be a share between 0 and 1", column="epsilon", value=self.epsilon))
        if not 0.0 < self.confidence < 1.0:
            problems.append(Problem("must lie between 0 and 1", column="confidence", value=self.confidence))
        if problems:
            raise InvalidInput("policy 'bandit'", problems)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that this policy reads as they stand."""
        return (*self.arms, *self.scope)

    def check(self, objective: Objective) -> None:
        """Raise Unsupported for an objective that is not one target without constraints."""
        check_objective(objective, "bandit")

    def propose(self, view: View, n: int, generator: np.random.Generator) -> Batch:
        """At most n different free candidates, deterministic in (view, n, generator)."""
        n = checked_count(n)
        self.check(view.objective)
        case = _Case.of(self, view, generator)
        chosen: list[Proposal] = []
        memory = dict(case.memory)
        open_rows, now = beginners(view, n), view
        while len(chosen) < n and len(open_rows):
            turn = case.turn(now, open_rows)
            odds = chances(self.rule, turn, generator) if not case.decided(turn) else np.zeros(len(turn.open))
            if not odds.any():
                break
            row, arm, proposal = case.choice(open_rows, odds, turn, len(chosen) + 1, generator)
            chosen.append(proposal)
            memory[proposal.candidate_id] = float(odds[arm])
            now = with_chosen(now, np.array([row]))
            open_rows = np.intersect1d(open_rows, free_rows(now), assume_unique=True)
        learned = {**self._learned(case, view), **({"memory": {"chances": memory}} if self.rule == "exp3" else {})}
        proposals = tuple(chosen)
        why = shortage(view, n, proposals)
        if len(proposals) < n and case.decided(case.turn(now, open_rows)):
            why = f"{len(proposals)} of {n} proposed: {learned['verdict']}"
        return Batch(proposals, learned, why)

    def standing(self, view: View, generator: np.random.Generator | None = None) -> Standing:
        """Where the arms stand, from the view's observations. generator: for draws; by default of a fixed seed."""
        case = _Case.of(self, view, generator or np.random.default_rng(0))
        return case.standing()

    def chances(self, view: View, generator: np.random.Generator) -> Mapping[str, float]:
        """The probability of each arm to be chosen next."""
        case = _Case.of(self, view, generator)
        odds = chances(self.rule, case.turn(view, free_rows(view)), generator)
        return {name: float(p) for name, p in zip(case.arms.names, odds)}

    def _learned(self, case: _Case, view: View) -> dict[str, Any]:
        standing = case.standing()
        learned = {"policy": "bandit", "rule": self.rule, "prior": self.prior, **standing.learned()}
        turn = case.turn(view, free_rows(view))
        left = remaining(turn) if self.rule == "successive-elimination" else np.ones(len(case.arms.names), dtype=bool)
        if self.rule == "successive-elimination":
            learned["left"] = int(left.sum())
        if case.decided(turn):
            name = case.arms.names[int(np.flatnonzero(left)[0])]
            learned["verdict"] = f"one arm is left with confidence {self.confidence:g}: {name}; {standing.words}"
        for name, count in (("limits", case.tally.limits), ("infeasible", case.tally.infeasible)):
            if count:
                learned[name] = count
        return learned


@dataclass(frozen=True)
class _Case:
    """One view, seen as arms."""

    policy: Bandit
    view: View
    arms: Arms
    reward: Reward
    tally: Tally
    belief: ArmBelief
    drawn: FloatArray
    memory: Mapping[str, float]

    @classmethod
    def of(cls, policy: Bandit, view: View, generator: np.random.Generator) -> _Case:
        arms = Arms.of(view, policy.arms, policy.scope)
        reward = Reward.of(view, policy.objective, policy.threshold, policy.range)
        tally = Tally.of(view, arms, reward)
        belief = believe(tally, policy.prior, policy.objective)
        drawn = belief.draws(CHANCES, generator)
        return cls(policy, view, arms, reward, tally, belief, drawn, dict(view.memory.get("chances", {})))

    def turn(self, now: View, rows: IntArray) -> Turn:
        """The next choice. now: the view with what is in the batch. rows: those that may still join."""
        count = len(self.arms.names)
        waiting = np.setdiff1d(now.pending, self.tally.rows)
        extra = np.bincount(self.arms.arm[waiting], minlength=count).astype(np.float64)
        open_ = np.bincount(self.arms.arm[rows], minlength=count) > 0
        policy = self.policy
        return Turn(
            self.tally, self.belief, policy.objective, extra, open_, self.past, policy.epsilon,
            1.0 - policy.confidence, self.drawn,
        )  # fmt: skip

    @property
    def past(self) -> FloatArray:
        """Sums [A] of reward over the probability that its arm had; what others chose counts as if all arms had been alike."""
        count = len(self.arms.names)
        odds = np.array([self.memory.get(str(self.view.ids[row]), 1.0 / count) for row in self.tally.rows])
        return np.bincount(self.tally.arm, weights=self.tally.rewards / odds, minlength=count).astype(np.float64)

    def decided(self, turn: Turn) -> bool:
        """Whether successive elimination has left one arm."""
        return self.policy.rule == "successive-elimination" and int(remaining(turn).sum()) == 1

    def choice(
        self, rows: IntArray, odds: FloatArray, turn: Turn, number: int, generator: np.random.Generator
    ) -> tuple[int, int, Proposal]:
        """One candidate: its arm with the odds [A], and one of the arm's free rows, all alike."""
        arm = int(generator.choice(len(odds), p=odds))
        free = rows[self.arms.arm[rows] == arm]
        row = int(generator.choice(free))
        name, member = self.arms.names[arm], self.arms.substrates[int(self.arms.scope[row])]
        how = {"ucb1": "UCB1", "ucb1-tuned": "UCB1-tuned", "bayes-ucb": "Bayes-UCB", "exp3": "EXP3"}
        tried = f"tried {int(self.tally.counts[arm])} of {int(self.arms.sizes[arm])} times"
        reason = f"{how.get(self.policy.rule, self.policy.rule)} takes {name} ({tried})" + (
            f" on {member}" if member else ""
        )
        probability = float(odds[arm]) / len(free)
        details = {
            "arm": name,
            "scope": member,
            "arm_probability": float(odds[arm]),
            "all_arms": bool((odds > 0).all()),
            "candidates_of_arm": len(free),
            "turn": number,
        }
        proposal = Proposal(
            str(self.view.ids[row]), "bandit", reason, probability=probability, predicted=self.predicted(arm),
            rank=number, details=details,
        )  # fmt: skip
        return row, arm, proposal

    def predicted(self, arm: int) -> Mapping[str, Prediction]:
        """What is expected of one candidate of an arm, where rewards are outcomes on another scale."""
        target = self.view.objective.targets[0]
        if self.policy.objective == "fraction-above" or target.direction == "match" or not len(self.tally.rows):
            return {}
        width = self.reward.high - self.reward.low
        mean, deviation = (float(part[arm]) for part in self.belief.single)
        turned = self.reward.low + mean * width
        return {target.name: Prediction(-turned if target.direction == "minimize" else turned, deviation * width)}

    def standing(self) -> Standing:
        """Where the arms stand."""
        everything = np.ones(len(self.arms.names), dtype=bool)
        minimum = self.policy.objective == "minimum"
        worth = self.drawn.mean(axis=0) if minimum else self.belief.mean
        deviation = self.drawn.std(axis=0) if minimum else self.belief.deviation
        out: BoolArray = ~everything
        if self.policy.rule == "successive-elimination":
            out = ~remaining(self.turn(self.view, free_rows(self.view)))
        return Standing(
            self.arms, self.reward, self.policy.objective, self.view.objective.targets[0], self.tally.counts, worth,
            deviation, shares_best(self.drawn, everything), out,
        )  # fmt: skip
