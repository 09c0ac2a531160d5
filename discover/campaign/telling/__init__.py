"""From what a person or a sheet says to events."""
