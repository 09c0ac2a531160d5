"""Observed values made ready for a fit, and beliefs told in their unit again."""
