"""Search spaces: what can be tried, declared rather than listed."""

from discover.candidates.space.space import SearchSpace

__all__ = ["SearchSpace"]
