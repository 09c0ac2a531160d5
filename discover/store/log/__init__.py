"""The append-only log: what may be written into it, and how it is written and read."""
