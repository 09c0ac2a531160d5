"""Bandits: conditions as arms, substrates as their scope."""

from discover.policy.bandit.bandit import Bandit

__all__ = ["Bandit"]
