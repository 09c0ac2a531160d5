"""Candidates that are listed: which columns are what, and which rows hold now."""
