"""What happened: append-only events, and the views folded from them."""
