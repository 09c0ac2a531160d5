"""The scale on which a target is modelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

CONSTANT = 1e-10
"""Values that differ by less than this share of their size count as identical."""


@dataclass(frozen=True)
class Standard:
    """Values of a target on one scale: (y - shift) / scale. known: whether the values tell their own spread."""

    shift: float
    scale: float
    known: bool = True

    @classmethod
    def of(cls, y: Tensor) -> Standard:
        """From values [n]. Of one value, or of identical ones, the spread is not known: their size stands for it."""
        peak = float(y.abs().max())
        unit = peak if peak > 0 else 1.0
        relative = y / unit  # so that squares of very large or very small numbers stay finite
        shift, spread = float(relative.mean()), float(relative.std(correction=1)) if len(y) > 1 else 0.0
        if spread > CONSTANT:
            return cls(shift * unit, spread * unit)
        return cls(shift * unit, unit, known=False)

    def apply(self, y: Tensor) -> Tensor:
        """To standardised values, of the same shape."""
        return (y - self.shift) / self.scale

    def for_botorch(self) -> Any:
        """The same as an outcome transform of BoTorch that learns no other from the values which it is shown."""
        from botorch.models.transforms import Standardize
        from torch import float64, full, tensor

        class Kept(Standardize):
            def train(self, mode: bool = True) -> Any:
                return super().train(False)

        found = Kept(1).double()
        state = {"means": self.shift, "stdvs": self.scale, "_stdvs_sq": self.scale * self.scale}
        numbers = {name: full((1, 1), value, dtype=float64) for name, value in state.items()}
        found.load_state_dict({**numbers, "_is_trained": tensor(True)})
        return found.eval()
