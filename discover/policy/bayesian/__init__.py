"""The Bayesian policy: believe, score everything, choose a batch that has most to gain together."""

from discover.policy.bayesian.bayesian import Bayesian

__all__ = ["Bayesian"]
