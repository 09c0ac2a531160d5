"""What conditions give, one episode at a time: from a table whose answers are all known, or simulated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from discover.backtest.answers import single_target
from discover.backtest.loop import Retrospective
from discover.backtest.loop import view_of as view_of_table
from discover.errors import InvalidInput, Problem
from discover.policy.bandit.arms import Arms
from discover.values import FloatArray


class Responses(Protocol):
    """What A conditions give under a context that changes from episode to episode."""

    @property
    def conditions(self) -> int:
        """A."""
        ...

    @property
    def width(self) -> int:
        """c, of the numbers that tell of the context."""
        ...

    def draw(self, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Outcomes [A], turned so that large is good and scaled to 0 to 1, NaN where a condition gives nothing; context [c]."""
        ...


@dataclass(frozen=True)
class TableResponses:
    """Of a known table. values: [members of the scope, A], scaled, NaN where nothing is known. contexts: [members, c]."""

    values: FloatArray
    contexts: FloatArray
    names: tuple[str, ...]

    @classmethod
    def of(cls, table: Retrospective, arms: Sequence[str], scope: Sequence[str] = ()) -> TableResponses:
        """Arms and scope are columns of the table; a context is told by the mean features of its candidates, as far as they
        differ between members. Several candidates of one cell count by their mean. InvalidInput for a table without values."""
        single_target(table.objective)
        coded = Arms.of(view_of_table(table, np.empty(0, dtype=np.int64), 0, {}), arms, scope)
        turned = table.answers.utilities(table.objective)
        fine = np.isfinite(turned)
        if not fine.any():
            raise InvalidInput("responses", [Problem("the table has no values", column=table.answers.target.name)])
        scaled = (turned - turned[fine].min()) / (float(np.ptp(turned[fine])) or 1.0)
        members, count = len(coded.substrates), len(coded.names)
        cell = coded.scope * count + coded.arm
        sums = np.bincount(cell[fine], weights=scaled[fine], minlength=members * count)
        tries = np.bincount(cell[fine], minlength=members * count)
        values = np.divide(sums, tries, out=np.full(members * count, np.nan), where=tries > 0)
        return cls(values.reshape(members, count), _contexts(table, coded), coded.names)

    @property
    def conditions(self) -> int:
        """A."""
        return self.values.shape[1]

    @property
    def width(self) -> int:
        """c."""
        return self.contexts.shape[1]

    def draw(self, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """One member of the scope, drawn evenly."""
        member = int(generator.integers(len(self.values)))
        return self.values[member], self.contexts[member]


@dataclass(frozen=True)
class SimulatedResponses:
    """Smooth random functions of the conditions, squeezed into 0 to 1: what an agent is trained on before it sees a table.

    features: [A, d], scaled. width: of the context, which tells nothing here. lengths: between which the length-scale of an
    episode's function is drawn, in logarithm. unlike: share of the variance that is each condition's own. In the manner of
    Zhou, Li and Zare, ACS Cent. Sci. 3, 1337 (2017).
    """

    features: FloatArray
    width: int = 0
    lengths: tuple[float, float] = (0.5, 4.0)
    unlike: float = 0.1

    def __post_init__(self) -> None:
        if np.ndim(self.features) != 2 or not np.isfinite(self.features).all():
            raise InvalidInput("simulated responses", [Problem("must be finite numbers [A, d]", column="features")])

    @property
    def conditions(self) -> int:
        """A."""
        return len(self.features)

    def draw(self, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """A function of its own length-scale and level, at all conditions."""
        length = float(np.exp(generator.uniform(*np.log(self.lengths))))
        squared = np.square(self.features[:, None] - self.features).sum(axis=2)
        cov = (1.0 - self.unlike) * np.exp(-0.5 * squared / length**2) + self.unlike * np.eye(self.conditions)
        values = np.linalg.cholesky(cov + 1e-9 * np.eye(self.conditions)) @ generator.standard_normal(self.conditions)
        level = generator.normal(-1.0, 1.0)
        return 1.0 / (1.0 + np.exp(-(level + 1.5 * values))), np.zeros(self.width)


@dataclass(frozen=True)
class EmulatedResponses:
    """Of an emulator: a function from a generator to outcomes [A], scaled to 0 to 1, and a context [width]."""

    emulator: Callable[[np.random.Generator], tuple[FloatArray, FloatArray]]
    conditions: int
    width: int = 0

    def draw(self, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """What the emulator says."""
        told, about = self.emulator(generator)
        values, context = np.asarray(told, dtype=np.float64), np.asarray(about, dtype=np.float64)
        problems = []
        if values.shape != (self.conditions,):
            problems.append(Problem(f"must be {self.conditions} numbers", column="outcomes", value=values.shape))
        elif np.isnan(values).all() or np.nanmin(values) < 0 or np.nanmax(values) > 1:
            hint = "scale them; NaN is 'nothing'"
            problems.append(Problem("must lie from 0 to 1", column="outcomes", value=values.tolist(), way_out=hint))
        if context.shape != (self.width,) or not np.isfinite(context).all():
            problems.append(Problem(f"must be {self.width} finite numbers", column="context", value=context.tolist()))
        if problems:
            raise InvalidInput("emulator", problems)
        return values, context


def _contexts(table: Retrospective, coded: Arms) -> FloatArray:
    """[members, c]: mean features of each member's candidates, scaled to 0 to 1; those alike for all are left out."""
    members = len(coded.substrates)
    if members == 1:
        return np.zeros((1, 0))
    X = table.features.values
    means = np.zeros((members, X.shape[1]))
    np.add.at(means, coded.scope, X)
    means /= np.bincount(coded.scope, minlength=members)[:, None]
    span = np.ptp(means, axis=0)
    kept = span > 1e-9
    return np.asarray((means[:, kept] - means[:, kept].min(axis=0)) / span[kept])
