"""discover: ask, tell, and lose nothing. A discovery loop for materials and reactions."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from discover.campaign import Campaign as Campaign
    from discover.candidates.pool import CandidatePool as CandidatePool
    from discover.errors import DiscoverError as DiscoverError
    from discover.objective import Objective as Objective
    from discover.objective import Target as Target

__version__ = "0.1.0"

_HOMES = {
    "Campaign": "discover.campaign",
    "CandidatePool": "discover.candidates.pool",
    "DiscoverError": "discover.errors",
    "Objective": "discover.objective",
    "Target": "discover.objective",
}

__all__ = ["Campaign", "CandidatePool", "DiscoverError", "Objective", "Target", "__version__"]


def __getattr__(name: str) -> Any:
    """Public names are found when first used, so that `import discover` stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'discover' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *globals()])
