"""discover: ask, tell, and lose nothing. A discovery loop for materials and reactions."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from discover.version import VERSION

if TYPE_CHECKING:
    from discover.campaign import Campaign as Campaign
    from discover.candidates.pool.pool import CandidatePool as CandidatePool
    from discover.candidates.space.parameters.labels import Categorical as Categorical
    from discover.candidates.space.parameters.labels import Substance as Substance
    from discover.candidates.space.parameters.mixture import Mixture as Mixture
    from discover.candidates.space.parameters.numbers import Binary as Binary
    from discover.candidates.space.parameters.numbers import Continuous as Continuous
    from discover.candidates.space.parameters.numbers import Discrete as Discrete
    from discover.candidates.space.parameters.numbers import Integer as Integer
    from discover.candidates.space.parameters.ordering import Ordering as Ordering
    from discover.candidates.space.space import SearchSpace as SearchSpace
    from discover.errors import DiscoverError as DiscoverError
    from discover.objective import Objective as Objective
    from discover.objective import Target as Target

__version__ = VERSION

_HOMES = {
    "Binary": "discover.candidates.space.parameters.numbers",
    "Campaign": "discover.campaign",
    "CandidatePool": "discover.candidates.pool.pool",
    "Categorical": "discover.candidates.space.parameters.labels",
    "Continuous": "discover.candidates.space.parameters.numbers",
    "Discrete": "discover.candidates.space.parameters.numbers",
    "DiscoverError": "discover.errors",
    "Integer": "discover.candidates.space.parameters.numbers",
    "Mixture": "discover.candidates.space.parameters.mixture",
    "Objective": "discover.objective",
    "Ordering": "discover.candidates.space.parameters.ordering",
    "SearchSpace": "discover.candidates.space.space",
    "Substance": "discover.candidates.space.parameters.labels",
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
