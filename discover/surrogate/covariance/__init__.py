"""Prior covariances: forms with their numbers, and how the numbers are found."""
