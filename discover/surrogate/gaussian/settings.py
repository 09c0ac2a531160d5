"""How a Gaussian process is fitted, exact or by neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from discover.surrogate.covariance.forms import Form
from discover.surrogate.covariance.kernels import Kernel


@dataclass(frozen=True)
class Settings:
    """How to fit: the kernel; one length-scale for all features or one for each; at most so many evaluations
    from each of so many starts (see `fitting.prior_starts`). Hyperparameters come from at most `rows` observations, evenly
    taken; the belief is exact on all, up to `exact` observations: beyond that see `local`.

    Where few features matter, or many tell the same, a length-scale for each finds that out; the priors keep those that
    tell nothing long.

    form: another shape of the covariance than such a kernel over all features; it needs a `name`. chunk: rows that a
    posterior looks at together. keep: the hyperparameters of an earlier fit stay until the observations
    have grown by this share; see `keeping`.
    """

    kernel: Kernel = "matern"
    lengths: Literal["one", "each"] = "each"
    evaluations: int = 100
    starts: int = 2
    rows: int = 300
    chunk: int = 2048
    form: Form | None = None
    name: str = ""
    exact: int = 4000
    keep: float = 0.0

    @property
    def title(self) -> str:
        """The model in words."""
        if self.form is not None:
            return self.form.title
        return f"{self.kernel} kernel with one length-scale{' a feature' if self.lengths == 'each' else ''}"
