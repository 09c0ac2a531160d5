"""When to stop: the budget is spent, or the pool is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from discover.errors import InvalidInput, Problem
from discover.protocols import View
from discover.values import Advice, Spending


@dataclass(frozen=True)
class Budget:
    """Stop once so many experiments were started (failures and retries count), or so much was spent."""

    experiments: int | None = None
    cost: float | None = None

    def __post_init__(self) -> None:
        problems = [
            Problem("a budget must be positive", column=name, value=value)
            for name, value in (("experiments", self.experiments), ("cost", self.cost))
            if value is not None and not value > 0
        ]
        if problems:
            raise InvalidInput("budget", problems)

    def left(self, spending: Spending) -> int | None:
        """Experiments that may still be started; None without a limit."""
        return None if self.experiments is None else max(0, self.experiments - spending.experiments)

    def advise(self, view: View, spending: Spending) -> Advice:
        """Stop when either limit is reached."""
        reasons, numbers = [], {"experiments": float(spending.experiments), "cost": spending.cost}
        if self.experiments is not None:
            numbers["experiments_limit"] = float(self.experiments)
            reasons.append(
                (spending.experiments >= self.experiments, f"{spending.experiments} of {self.experiments} experiments")
            )
        if self.cost is not None:
            numbers["cost_limit"] = self.cost
            reasons.append((spending.cost >= self.cost, f"{spending.cost:g} of {self.cost:g} in cost"))
        spent = ", ".join(text for _, text in reasons) or "no limit"
        stop = any(reached for reached, _ in reasons)
        return Advice(stop, f"the budget is spent: {spent}" if stop else f"within the budget: {spent}", numbers)


@dataclass(frozen=True)
class Exhausted:
    """Stop once no candidate is left, or none that the budget in cost allows, and none is under trial."""

    def advise(self, view: View, spending: Spending) -> Advice:
        """Stop when every candidate is finished or excluded, or too dear."""
        free, pending = int((~view.blocked).sum()), len(view.pending)
        numbers = {"free": float(free), "pending": float(pending)}
        dear = bool(free) and not view.limits.allowed(np.flatnonzero(~view.blocked)).any()
        if dear:
            text = f"none of the {free:,} candidates that are left costs as little as there is: {view.limits.words}"
            return Advice(not pending, text + (f"; {pending} are under trial" if pending else ""), numbers)
        if view.ground is not None:
            return _of_space(view, numbers)
        if free:
            return Advice(False, f"{free:,} candidates are left", numbers)
        if pending:
            return Advice(False, f"no candidate is left, but {pending} are under trial", numbers)
        return Advice(True, "every candidate is finished or excluded", numbers)


def _of_space(view: View, numbers: dict[str, float]) -> Advice:
    """The same over a search space, whose rows are only those points that are known."""
    assert view.ground is not None
    listing = view.ground.region.listing
    if listing is None:
        return Advice(False, "the space has more points than can be listed", numbers)
    left = len(listing) - int((view.blocked & view.ground.settable).sum())
    numbers = {**numbers, "free": float(left)}
    if left:
        return Advice(False, f"{left:,} points of the space are left", numbers)
    if len(view.pending):
        return Advice(False, f"no point is left, but {len(view.pending)} are under trial", numbers)
    return Advice(True, "every point of the space is finished or excluded", numbers)
