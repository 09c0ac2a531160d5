"""What to try next, and when to stop: nothing heavy is imported by the room itself."""
