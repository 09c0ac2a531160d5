"""Plots, tables, one-file HTML."""
