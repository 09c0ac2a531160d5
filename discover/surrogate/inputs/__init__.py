"""Features as a surrogate sees them: on one scale, and in blocks that belong together."""
