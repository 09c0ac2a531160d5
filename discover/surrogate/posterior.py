"""What every belief about one target offers, whatever it is made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from discover.protocols import Posterior

if TYPE_CHECKING:
    from torch import Tensor

    from discover.surrogate.gaussian.standard import Standard


class TargetPosterior(Posterior, Protocol):
    """A belief about one target after n observations: a Gaussian process, or a mixture or a transform of such ones.

    `components` and `weights` are those of the mixture; a belief that is none is its own only component. Closed forms that
    need a normal belief, a prior covariance or factors hold component by component, for those that are a
    `GaussianPosterior`.
    """

    @property
    def X(self) -> Tensor:
        """[n, d], the scaled features of the observations."""
        ...

    @property
    def y(self) -> Tensor:
        """[n], the observed values in the target's unit."""
        ...

    @property
    def standard(self) -> Standard:
        """The scale of the observed values."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What went otherwise than asked for, in words."""
        ...

    @property
    def components(self) -> Sequence[TargetPosterior]:
        """Of the mixture; itself where it is none."""
        ...

    @property
    def weights(self) -> tuple[float, ...]:
        """Of the components, summing to one."""
        ...

    @property
    def noise_variance(self) -> float:
        """Variance of a further observation about the noiseless target, in its unit squared."""
        ...

    def mean_deviation(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """X [m, d] to mean [m] and deviation [m] of the noiseless target, in its unit."""
        ...

    def draw(self, X: Tensor, normal: Tensor) -> Tensor:
        """Joint draws at X [m, d] made from standard normal numbers [n, m]: [n, m]."""
        ...

    def settings(self) -> dict[str, Any]:
        """For the record; plain JSON."""
        ...

    def memory(self) -> dict[str, Any]:
        """From what the next fit may start; plain JSON, exact."""
        ...
