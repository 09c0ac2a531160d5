"""What a campaign says of itself; nothing here writes."""
