"""Belief to scores to a batch: log expected improvement over the whole pool, then a joint batch on a short list."""
