"""Crystals, calculated: calculators of energies and stresses, and what is made of them."""
