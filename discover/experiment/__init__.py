"""Who finds out."""
