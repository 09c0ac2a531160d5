"""Who finds out: a table look-up, a Python callable, a calculation.

Importing this room imports neither torch nor pymatgen; calculators import theirs when they are first used.
"""
