"""discover: ask, tell, and lose nothing. A discovery loop for materials and reactions."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from discover.campaign import Campaign as Campaign
    from discover.candidates.labels import Categorical as Categorical
    from discover.candidates.labels import Substance as Substance
    from discover.candidates.mixture import Mixture as Mixture
    from discover.candidates.ordering import Ordering as Ordering
    from discover.candidates.parameters import Binary as Binary
    from discover.candidates.parameters import Continuous as Continuous
    from discover.candidates.parameters import Discrete as Discrete
    from discover.candidates.parameters import Integer as Integer
    from discover.candidates.pool import CandidatePool as CandidatePool
    from discover.candidates.space import SearchSpace as SearchSpace
    from discover.errors import DiscoverError as DiscoverError
    from discover.objective import Objective as Objective
    from discover.objective import Target as Target

__version__ = "0.2.0"

_HOMES = {
    "Binary": "discover.candidates.parameters",
    "Campaign": "discover.campaign",
    "CandidatePool": "discover.candidates.pool",
    "Categorical": "discover.candidates.labels",
    "Continuous": "discover.candidates.parameters",
    "Discrete": "discover.candidates.parameters",
    "DiscoverError": "discover.errors",
    "Integer": "discover.candidates.parameters",
    "Mixture": "discover.candidates.mixture",
    "Objective": "discover.objective",
    "Ordering": "discover.candidates.ordering",
    "SearchSpace": "discover.candidates.space",
    "Substance": "discover.candidates.labels",
    "Target": "discover.objective",
}

__all__ = [
    "Binary",
    "Campaign",
    "CandidatePool",
    "Categorical",
    "Continuous",
    "DiscoverError",
    "Discrete",
    "Integer",
    "Mixture",
    "Objective",
    "Ordering",
    "SearchSpace",
    "Substance",
    "Target",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Public names are found when first used, so that `import discover` stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'discover' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *globals()])
