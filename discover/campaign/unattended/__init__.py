"""What flows and workers call while nobody looks."""
