"""Campaigns on known tables: paired seeds, the exact random line, metrics with bands."""
