"""How materials are written: structures as text, formulas, and ids of the Materials Project."""
