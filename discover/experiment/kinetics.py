"""Concentrations over time to a rate constant with its uncertainty, and rate constants over temperatures to Arrhenius's law."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from discover.errors import InvalidInput, Problem
from discover.values import FloatArray

if TYPE_CHECKING:
    import pandas as pd

Order = Literal[0, 1, 2]
ORDERS: tuple[Order, ...] = (0, 1, 2)
GAS_CONSTANT = 8.31446261815324
"""J/(mol K)."""
CLEAR = 0.9
"""The weight from which on an order counts as told apart from the others."""
RESOLUTION = 1e-9
"""What a concentration is known to at best, as a share of the largest: rounding says nothing about orders."""
COURSE = 0.01
"""The share of the start above which a sample counts as taken in the course of the reaction; two times are needed."""
UNITS = {0: "{c}/{t}", 1: "1/{t}", 2: "1/({c} {t})"}


@dataclass(frozen=True)
class Rate:
    """A rate constant k of a decay c(t), with its standard deviation, in the units of the table's time and concentration.

    order 0: c₀ - kt until nothing is left; 1: c₀ exp(-kt); 2: c₀ / (1 + c₀kt). weights: how likely each order is, by BIC, all
    alike beforehand. residual: standard deviation of the concentrations about the curve.
    """

    k: float
    std: float
    order: Order
    start: float
    residual: float
    weights: Mapping[Order, float]

    @property
    def clear(self) -> bool:
        """Whether the table tells this order from the others."""
        return self.weights[self.order] >= CLEAR

    def concentration(self, time: FloatArray) -> FloatArray:
        """The curve [m] at times [m]."""
        return _curve(self.order, np.asarray(time, dtype=np.float64), self.start, self.k)

    def unit(self, time: str = "s", concentration: str = "mol/L") -> str:
        """The unit of k."""
        return UNITS[self.order].format(t=time, c=concentration)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        weights = {str(order): weight for order, weight in self.weights.items()}
        return {
            "k": self.k, "std": self.std, "order": self.order, "start": self.start, "residual": self.residual,
            "weights": weights, "clear": self.clear,
        }  # fmt: skip


@dataclass(frozen=True)
class Arrhenius:
    """k = A exp(-E/RT). energy: E in J/mol with its standard deviation; log_factor: ln A, in the unit of k."""

    log_factor: float
    energy: float
    energy_std: float
    covariance: tuple[tuple[float, float], tuple[float, float]]

    def rate(self, kelvin: float) -> tuple[float, float]:
        """k at a temperature, and its standard deviation (to first order)."""
        slope = np.array([1.0, -1.0 / (GAS_CONSTANT * kelvin)])
        k = math.exp(self.log_factor - self.energy / (GAS_CONSTANT * kelvin))
        return k, k * math.sqrt(float(slope @ np.array(self.covariance) @ slope))


def rate_constant(time: ArrayLike, concentration: ArrayLike, order: Order | None = None) -> Rate:
    """The rate constant of a decay, by least squares; where no order is given the most likely one by BIC.

    time, concentration: [n], n ≥ 4, at three or more times; noise is taken as normal and equal at all times.
    InvalidInput for numbers that cannot be used, and for a table that does not fall.
    """
    t, c = _numbers("a kinetic run", time=time, concentration=concentration)
    problems = list(_problems(t, c))
    if order is not None and order not in ORDERS:
        problems.append(
            Problem("unknown order", column="order", value=order, way_out="0, 1, 2, or none to compare them")
        )
    if problems:
        raise InvalidInput("a kinetic run", problems)
    if _rises(t, c):
        raise InvalidInput("a kinetic run", [Problem("the concentration rises", column="concentration")])
    fits = {each: found for each in ORDERS if (found := _fit(each, t, c)) is not None}
    wanted = [order] if order is not None else list(fits)
    if not any(each in fits for each in wanted):
        hint = "if it is over before the second sample, take samples earlier"
        raise InvalidInput("a kinetic run", [Problem("no rate constant fits", way_out=hint)])
    weights = _weights({each: found[2] for each, found in fits.items()}, len(t))
    best = max((each for each in wanted if each in fits), key=lambda each: weights[each])
    parameters, covariance, squares = fits[best]
    return Rate(
        float(parameters[1]),
        math.sqrt(float(covariance[1, 1])),
        best,
        float(parameters[0]),
        math.sqrt(squares / max(1, len(t) - 2)),
        weights,
    )


def rates(
    runs: pd.DataFrame,
    *,
    by: str = "proposal_id",
    time: str = "time",
    concentration: str = "concentration",
    target: str = "rate_constant",
    order: Order | None = None,
) -> pd.DataFrame:
    """Many runs in one frame, a row a sample, to a frame that `tell` takes: `by`, target and target_std, and the `order`.

    Without an order the one that is most likely over all runs together is taken for all, for constants of different orders
    have different units. InvalidInput names every run that cannot be reduced.
    """
    absent = [Problem("no such column", column=c) for c in (by, time, concentration) if c not in runs.columns]
    if not absent:
        nameless = runs.index[runs[by].isna()]
        absent = [Problem("says not of which run it is", row=row, column=by) for row in nameless]
    if absent:
        raise InvalidInput("kinetic runs", absent)
    grouped = [(name, rows) for name, rows in runs.groupby(by, sort=False)]
    problems: list[Problem] = []
    if order is None:
        order = _common([_reduced(rows, time, concentration, None, name, problems) for name, rows in grouped])
    found = [(name, _reduced(rows, time, concentration, order, name, problems)) for name, rows in grouped]
    if problems:
        raise InvalidInput("kinetic runs", list({(p.row, p.message): p for p in problems}.values()))
    import pandas as pd

    told = [(name, rate.k, rate.std, rate.order) for name, rate in found if rate is not None]
    return pd.DataFrame(told, columns=[by, target, f"{target}_std", "order"])


def arrhenius(kelvin: ArrayLike, k: ArrayLike, std: ArrayLike) -> Arrhenius:
    """Arrhenius's law through rate constants [n] with standard deviations [n], n ≥ 2 temperatures in K.

    ln k is linear in 1/T; its deviation is std/k. InvalidInput for what cannot be used.
    """
    T, rate, spread = _numbers("rate constants", kelvin=kelvin, k=k, std=std)
    if not (T.ndim == 1 and T.shape == rate.shape == spread.shape):
        raise InvalidInput("rate constants", [Problem("need one temperature, value and deviation each")])
    problems = [
        Problem("must be a number above 0", row=int(i), column=name, value=float(a[i]))
        for name, a in (("kelvin", T), ("k", rate), ("std", spread))
        for i in np.flatnonzero(~(np.isfinite(a) & (a > 0)))
    ]
    if not problems and len(np.unique(T)) < 2:
        problems.append(Problem("two temperatures at least", column="kelvin"))
    if problems:
        raise InvalidInput("rate constants", problems)
    design = np.column_stack([np.ones_like(T), -1.0 / (GAS_CONSTANT * T)]) / (spread / rate)[:, None]
    weighted = np.log(rate) / (spread / rate)
    scale = np.abs(design).max(axis=0)
    solution, *_ = np.linalg.lstsq(design / scale, weighted, rcond=None)
    covariance = np.linalg.inv((design / scale).T @ (design / scale)) / np.outer(scale, scale)
    log_factor, energy = (float(v) for v in solution / scale)
    rows = tuple((float(a), float(b)) for a, b in covariance)
    return Arrhenius(log_factor, energy, math.sqrt(float(covariance[1, 1])), (rows[0], rows[1]))


def _curve(order: Order, t: FloatArray, start: float, k: float) -> FloatArray:
    if order == 0:
        return np.maximum(start - k * t, 0.0)
    if order == 1:
        return start * np.exp(-k * t)
    return start / (1.0 + start * k * t)


def _fit(order: Order, t: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray, float] | None:
    """Start and k [2], their covariance [2, 2], and the sum of squared residuals; None where nothing fits.

    In units of the longest time and the largest concentration. A k of a slow reaction may come out a little below zero, by
    noise.
    """
    from scipy.optimize import OptimizeWarning, curve_fit

    units = np.array([c.max(), {0: c.max() / t.max(), 1: 1.0 / t.max(), 2: 1.0 / (c.max() * t.max())}[order]])
    x, y = t / t.max(), c / c.max()
    first = max(float(y[np.argmin(x)]), 0.1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", OptimizeWarning)
            parameters, covariance = curve_fit(
                lambda x, a, k: _curve(order, x, a, k), x, y, p0=[first, 1.0], absolute_sigma=True,
                bounds=([0.0, -0.5], [np.inf, np.inf]), maxfev=2000, ftol=1e-12, xtol=1e-12, gtol=1e-12,
            )  # fmt: skip
    except (RuntimeError, ValueError, OptimizeWarning):
        return None
    curve = _curve(order, x, *parameters)
    if len(np.unique(x[curve > COURSE * parameters[0]])) < 2 or not np.isfinite(covariance).all():
        return None  # any greater constant would fit as well
    squares = max(float(np.square(y - curve).sum()), len(x) * RESOLUTION**2)
    covariance = covariance * squares / max(1, len(x) - 2) * np.outer(units, units)
    return parameters * units, covariance, squares * c.max() ** 2


def _rises(t: FloatArray, c: FloatArray) -> bool:
    """Whether a straight line through the samples clearly rises: by more than two standard errors."""
    x, y = t - t.mean(), c - c.mean()
    slope = float(x @ y / (x @ x))
    error = math.sqrt(float(np.square(y - slope * x).sum()) / max(1, len(t) - 2) / float(x @ x))
    return slope > 2.0 * error


def _weights(squares: Mapping[Order, float], n: int) -> dict[Order, float]:
    """exp(-BIC/2), normalised; all orders have as many parameters, so residuals alone decide."""
    floor = 1e-300
    logs = {order: -0.5 * n * math.log(max(value, floor)) for order, value in squares.items()}
    top = max(logs.values())
    total = sum(math.exp(v - top) for v in logs.values())
    return {order: (math.exp(logs[order] - top) / total if order in logs else 0.0) for order in ORDERS}


def _common(found: Sequence[Rate | None]) -> Order | None:
    """The order that is most likely over all runs together."""
    known = [rate for rate in found if rate is not None]
    if not known:
        return None
    logs = {o: sum(math.log(max(rate.weights[o], 1e-300)) for rate in known) for o in ORDERS}
    return max(ORDERS, key=lambda o: logs[o])


def _reduced(
    rows: pd.DataFrame, time: str, concentration: str, order: Order | None, name: Any, problems: list[Problem]
) -> Rate | None:
    """A run's rate; None where there is none, with what is wrong among the problems."""
    try:
        return rate_constant(rows[time].tolist(), rows[concentration].tolist(), order)
    except InvalidInput as error:
        problems += [Problem(p.message, row=name, column=p.column, value=p.value) for p in error.problems]
    except (TypeError, ValueError):
        problems.append(Problem("times and concentrations must be numbers", row=name))
    return None


def _numbers(what: str, **given: ArrayLike) -> list[FloatArray]:
    """Arrays of numbers, by name. InvalidInput for what is none."""
    found, problems = [], []
    for name, values in given.items():
        try:
            found.append(np.asarray(values, dtype=np.float64))
        except (TypeError, ValueError) as error:
            problems.append(Problem(f"needs numbers: {error}"[:200], column=name))
    if problems:
        raise InvalidInput(what, problems)
    return found


def _problems(t: FloatArray, c: FloatArray) -> Sequence[Problem]:
    if t.ndim != 1 or t.shape != c.shape:
        return [Problem(f"shapes {t.shape} and {c.shape} do not belong together")]
    wrong = [
        Problem(message, row=int(i), column=name, value=float(a[i]))
        for name, a, bad, message in (
            ("time", t, ~(np.isfinite(t) & (t >= 0)), "must be a number of at least 0"),
            ("concentration", c, ~np.isfinite(c), "must be a finite number"),
        )
        for i in np.flatnonzero(bad)
    ]
    if wrong:
        return wrong
    if len(t) < 4 or len(np.unique(t)) < 3:
        return [Problem("a rate needs at least four samples at three times", value=len(t))]
    if not 1e-100 < t.max() < 1e100 or not np.abs(c).max() < 1e100:
        return [Problem("beyond what can be computed with, 1e-100 to 1e100", value=float(t.max()))]
    if not c.max() > 1e-100:
        return [Problem("there is no concentration above 0", column="concentration")]
    return []
