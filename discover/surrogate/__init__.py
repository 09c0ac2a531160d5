"""Observations to belief."""
