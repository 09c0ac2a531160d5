"""Where candidates come from: the kinds of `candidates:` in a campaign file."""
