"""Where experiments fail."""
