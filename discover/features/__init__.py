"""Rows to numbers; every feature has a name."""
