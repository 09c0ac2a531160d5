"""From what is known to a committed batch."""
