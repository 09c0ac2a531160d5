"""Proposals in hand: claimed, run here or elsewhere, and recorded."""
