"""How the probability that constraints are kept weighs scores that know nothing of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from discover.acquisition.marginal import LOGARITHMIC, SIGNED

if TYPE_CHECKING:
    from torch import Tensor

    from discover.acquisition.lookahead import Known, Score


def weighed(kind: str, scores: Tensor, chance: Tensor | None, floor: float = 0.0) -> Tensor:
    """Scores [m] times the probability [m] that a candidate keeps the constraints; None where there are none.

    Logarithms are lowered by its logarithm. A score without a natural zero counts from `floor`, the least of the pool, so that
    what certainly breaks a constraint is worth no more than the worst. Gardner et al., ICML 2014; Gelbart et al., UAI 2014.
    """
    if chance is None:
        return scores
    if kind in LOGARITHMIC:
        return scores + chance.clamp_min(1e-300).log()
    if kind in SIGNED:
        return (scores - floor).clamp_min(0.0) * chance
    return scores * chance


@dataclass(frozen=True)
class Weighed:
    """A score of what an observation changes elsewhere, times the probability [m] that the candidate keeps the constraints."""

    score: Score
    chance: Tensor
    of: str = "keeping the constraints"

    @property
    def words(self) -> str:
        """What the score is."""
        return f"{self.score.words}, times the probability of {self.of}"

    def __call__(self, known: Known, places: Tensor) -> Tensor:
        """Scores [k] of the candidates at some places [k]."""
        return self.score(known, places) * self.chance[places]
