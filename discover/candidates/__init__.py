"""What can be tried, and where it comes from."""
