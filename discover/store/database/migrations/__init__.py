"""Alembic migrations of the campaign store. They add or rebuild tables and restore the triggers; a payload never changes."""
