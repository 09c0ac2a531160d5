"""The one stateful object: ask, tell, status. Everything it knows is folded from the store."""

from discover.campaign.campaign import Campaign

__all__ = ["Campaign"]
