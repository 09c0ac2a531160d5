"""Targets on a scale on which they are more nearly normal: increasing maps with their inverses and slopes.

Every map is a bijection of the line, but for the logarithm, which has nothing below zero. Where the way back would grow faster than a straight line, it goes straight on beyond
the observed values: nobody has seen what lies there, and an exponential would fill every prediction with it. So beyond the
best value seen the improvement in the target's unit is a fixed multiple of that on the new scale, and expected improvement
may be worked out there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from discover.values import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

FEWEST = 10
"""Different values below which no shape is read off them."""
DECADES = 10.0
"""Largest over smallest value from which on a logarithm is offered."""
POWERS = (-2.0, 4.0)
KNOTS = 129
"""Points between which normal scores are joined by straight lines."""


class Transform(Protocol):
    """An increasing map. Tensors of any shape, float64; `y` in the target's unit, `z` on the new scale."""

    @property
    def title(self) -> str:
        """The map in words."""
        ...

    def apply(self, y: Tensor) -> Tensor:
        """To the new scale."""
        ...

    def invert(self, z: Tensor) -> Tensor:
        """Back to the target's unit."""
        ...

    def log_slope(self, y: Tensor) -> Tensor:
        """log dz/dy, which turns densities of z into those of y."""
        ...

    def settings(self) -> dict[str, Any]:
        """Plain JSON, from which `restored` makes it again, exact."""
        ...


@dataclass(frozen=True)
class Affine:
    """z = (y - centre) / scale: a change of units and no more."""

    centre: float = 0.0
    scale: float = 1.0

    @property
    def title(self) -> str:
        return "as told"

    def apply(self, y: Tensor) -> Tensor:
        return (y - self.centre) / self.scale

    def invert(self, z: Tensor) -> Tensor:
        return self.centre + self.scale * z

    def log_slope(self, y: Tensor) -> Tensor:
        return torch.full_like(y, -math.log(self.scale))

    def settings(self) -> dict[str, Any]:
        return {"kind": "affine", "centre": self.centre, "scale": self.scale}


@dataclass(frozen=True)
class Logarithm:
    """z = log(y / unit) up to the largest value seen, `top`, and its tangent beyond; below 0 there is nothing.

    Values at or below zero are taken for the smallest positive number, so that a limit or a query there does not fail.
    """

    unit: float
    top: float

    @property
    def title(self) -> str:
        return "logarithm"

    def apply(self, y: Tensor) -> Tensor:
        return (y.clamp(self._least, self.top) / self.unit).log() + (y - self.top).clamp_min(0.0) / self.top

    def invert(self, z: Tensor) -> Tensor:
        edge = math.log(self.top / self.unit)
        return self.unit * z.clamp_max(edge).exp() + self.top * (z - edge).clamp_min(0.0)

    def log_slope(self, y: Tensor) -> Tensor:
        return -y.clamp(self._least, self.top).log()

    @property
    def _least(self) -> float:
        return max(1e-12 * self.unit, 5e-324)

    def settings(self) -> dict[str, Any]:
        return {"kind": "logarithm", "unit": self.unit, "top": self.top}


@dataclass(frozen=True)
class YeoJohnson:
    """The power transform of Yeo and Johnson (Biometrika 2000) of (y - centre) / scale, with its tangent beyond `edge`.

    edge: the largest standardised value seen where power < 1, the smallest where power > 1: on that side the way back
    grows faster than a straight line, or ends.
    """

    power: float
    centre: float
    scale: float
    edge: float

    @property
    def title(self) -> str:
        return f"Yeo–Johnson with power {self.power:.2f}"

    def apply(self, y: Tensor) -> Tensor:
        u = (y - self.centre) / self.scale
        inside = self._inside(u)
        return _power(inside, self.power) + _slope(inside, self.power) * (u - inside)

    def invert(self, z: Tensor) -> Tensor:
        edge = torch.tensor(self.edge, dtype=torch.float64)
        end, slope = _power(edge, self.power), _slope(edge, self.power)
        inside = z.clamp_max(end) if self.power < 1.0 else z.clamp_min(end)
        return self.centre + self.scale * (_unpower(inside, self.power) + (z - inside) / slope)

    def log_slope(self, y: Tensor) -> Tensor:
        u = self._inside((y - self.centre) / self.scale)
        return _slope(u, self.power).log() - math.log(self.scale)

    def settings(self) -> dict[str, Any]:
        return {
            "kind": "yeo-johnson",
            "power": self.power,
            "centre": self.centre,
            "scale": self.scale,
            "edge": self.edge,
        }

    def reaching(self, y: FloatArray) -> YeoJohnson:
        """The same power for values [n], of which it may have been found on some."""
        u = (y - self.centre) / self.scale
        return replace(self, edge=float(u.max() if self.power < 1.0 else u.min()))

    def _inside(self, u: Tensor) -> Tensor:
        return u.clamp_max(self.edge) if self.power < 1.0 else u.clamp_min(self.edge)


@dataclass(frozen=True)
class NormalScores:
    """Ranks as normal quantiles, through a distribution function smoothed over the values; straight beyond both ends.

    u, z: knots, both strictly ascending, of (y - centre) / scale and of the scores, joined by straight lines.
    """

    centre: float
    scale: float
    u: tuple[float, ...]
    z: tuple[float, ...]

    @property
    def title(self) -> str:
        return "normal scores"

    def apply(self, y: Tensor) -> Tensor:
        return _joined((y - self.centre) / self.scale, self.u, self.z)

    def invert(self, z: Tensor) -> Tensor:
        return self.centre + self.scale * _joined(z, self.z, self.u)

    def log_slope(self, y: Tensor) -> Tensor:
        at, to = torch.tensor(self.u, dtype=torch.float64), torch.tensor(self.z, dtype=torch.float64)
        return (to.diff() / at.diff()).log()[_piece((y - self.centre) / self.scale, at)] - math.log(self.scale)

    def settings(self) -> dict[str, Any]:
        return {
            "kind": "normal-scores",
            "centre": self.centre,
            "scale": self.scale,
            "u": list(self.u),
            "z": list(self.z),
        }


def _power(u: Tensor, power: float) -> Tensor:
    """Yeo and Johnson's ψ(power, u)."""
    up, down = u.clamp_min(0.0).log1p(), (-u).clamp_min(0.0).log1p()
    return torch.where(u >= 0, _expm1(power, up), -_expm1(2.0 - power, down))


def _expm1(p: float, log: Tensor) -> Tensor:
    """(exp(p·log) - 1)/p, which is log at p = 0."""
    return log if abs(p) < 1e-8 else (p * log).expm1() / p


def _unpower(z: Tensor, power: float) -> Tensor:
    """Its inverse, inside its image."""
    return torch.where(z >= 0, _back(power, z.clamp_min(0.0)), -_back(2.0 - power, (-z).clamp_min(0.0)))


def _back(p: float, z: Tensor) -> Tensor:
    log = z if abs(p) < 1e-8 else (p * z).clamp_min(-1.0 + 1e-15).log1p() / p
    return log.clamp_max(700.0).expm1()


def _slope(u: Tensor, power: float) -> Tensor:
    """dψ/du = (1 + |u|)^(power - 1) above zero, ^(1 - power) below."""
    return ((power - 1.0) * u.sign() * u.abs().log1p()).exp()


def _piece(x: Tensor, knots: Tensor) -> Tensor:
    """The straight piece on which each x lies, the outer ones reaching on."""
    return (torch.searchsorted(knots, x.contiguous(), right=True) - 1).clamp(0, len(knots) - 2)


def _joined(x: Tensor, knots: tuple[float, ...], values: tuple[float, ...]) -> Tensor:
    at, to = torch.tensor(knots, dtype=torch.float64), torch.tensor(values, dtype=torch.float64)
    k = _piece(x, at)
    return to[k] + (x - at[k]) * ((to[k + 1] - to[k]) / (at[k + 1] - at[k]))


def affine(y: FloatArray) -> Affine:
    """The plain map for values [n]."""
    return Affine(*_centre_and_scale(y))


def logarithm(y: FloatArray, limits: FloatArray) -> Logarithm | None:
    """For positive values [n] that span a decade or more; None for others. limits: of censored ones, positive as well."""
    if not len(y) or min(y.min(), limits.min(initial=math.inf)) <= 0 or y.max() < DECADES * y.min():
        return None
    return Logarithm(float(np.exp(np.log(y).mean())), float(y.max()))


def yeo_johnson(y: FloatArray, whitener: FloatArray | None = None) -> YeoJohnson:
    """With the power under which values [n] are most likely to be normal.

    whitener: [n, n], W with WᵀW the inverse of their covariance up to a factor, where it is known that they are not
    independent (Snelson, Rasmussen and Ghahramani, NeurIPS 2003); scale and constant mean are at their best values.
    """
    from scipy.optimize import minimize_scalar

    centre, scale = _centre_and_scale(y)
    u = torch.from_numpy((y - centre) / scale)
    W = np.eye(len(y)) if whitener is None else whitener
    level = W.sum(axis=1)

    def negative(power: float) -> float:
        z = W @ _power(u, power).numpy()
        rest = z - level * (level @ z) / (level @ level)
        spread = max(float(rest @ rest) / len(rest), 1e-300)
        return 0.5 * len(u) * math.log(spread) - float(_slope(u, power).log().sum())

    power = round(float(minimize_scalar(negative, bounds=POWERS, method="bounded", options={"xatol": 1e-3}).x), 3)
    return YeoJohnson(power, centre, scale, 0.0).reaching(y)


def normal_scores(y: FloatArray) -> NormalScores | None:
    """From values [n]; None where they are too few to tell a shape."""
    from scipy.special import ndtr, ndtri

    if len(np.unique(y)) < FEWEST:
        return None
    centre, scale = _centre_and_scale(y)
    u = (y - centre) / scale
    width = bandwidth(u)
    at = np.linspace(u.min(), u.max(), KNOTS)
    z = ndtri(np.clip(ndtr((at[:, None] - u) / width).mean(axis=1), 1e-12, 1.0 - 1e-12))
    rising = np.concatenate([[True], np.diff(np.maximum.accumulate(z)) > 1e-9])  # flat in a gap where nothing lies
    if rising.sum() < 2 or not u.max() > u.min():
        return None
    return NormalScores(centre, scale, tuple(at[rising].tolist()), tuple(z[rising].tolist()))


def bandwidth(u: FloatArray) -> float:
    """Silverman's rule (1986, equation 3.31): 0.9 · the lesser of deviation and interquartile range/1.34 · n^(-1/5)."""
    deviation = float(u.std())
    quarter = float(np.subtract(*np.percentile(u, [75, 25]))) / 1.34
    return 0.9 * (min(deviation, quarter) if quarter > 1e-3 * deviation else deviation) * len(u) ** -0.2


def log_slope_without(y: FloatArray) -> FloatArray:
    """log dz/dy [n] of normal scores made from the other values: what an honest judgement of them may use."""
    from scipy.special import logsumexp, ndtr, ndtri

    centre, scale = _centre_and_scale(y)
    u = (y - centre) / scale
    n, width = len(u), bandwidth(u)
    far = (u[:, None] - u) / width
    log_kernel = -0.5 * far**2 - 0.5 * math.log(2 * math.pi) - math.log(width)
    np.fill_diagonal(log_kernel, -np.inf)
    log_density = logsumexp(log_kernel, axis=1) - math.log(n - 1)
    z = ndtri(np.clip(ndtr(far).mean(axis=1), 1e-12, 1.0 - 1e-12))
    found: FloatArray = log_density + 0.5 * z**2 + 0.5 * math.log(2 * math.pi) - math.log(scale)
    return found


def restored(settings: dict[str, Any]) -> Transform:
    """The map that `settings` describe."""
    kinds = {"affine": Affine, "logarithm": Logarithm, "yeo-johnson": YeoJohnson, "normal-scores": NormalScores}
    rest = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items() if k != "kind"}
    made: Transform = kinds[settings["kind"]](**rest)
    return made


def _centre_and_scale(y: FloatArray) -> tuple[float, float]:
    """Mean and deviation, or the size where there is none."""
    size = float(np.abs(y).max()) or 1.0
    centre, spread = float((y / size).mean()), float((y / size).std())
    return centre * size, spread * size if spread > 1e-10 else size
