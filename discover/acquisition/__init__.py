"""Belief to scores to a batch."""
