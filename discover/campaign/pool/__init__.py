"""A campaign's candidates: where their snapshots are, which hold now, and how they change."""
