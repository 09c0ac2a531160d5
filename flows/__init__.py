"""Prefect flows: thin wrappers over functions that never import Prefect."""
