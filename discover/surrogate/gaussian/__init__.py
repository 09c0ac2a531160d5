"""Gaussian processes, exact and by nearest neighbours, and mixtures of them."""
