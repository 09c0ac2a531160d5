"""A store's URL to an open, migrated database: its tables, what guards them, and its errors in words."""
