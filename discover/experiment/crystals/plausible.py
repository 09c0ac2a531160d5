"""Crystals that cannot be meant: too dense, too empty, too large, or with atoms on top of each other.

A calculation of such a cell takes gigabytes before it fails, or gives a number that means nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from discover.errors import ExperimentFailed

if TYPE_CHECKING:
    from pymatgen.core import Structure

LEAST_VOLUME = 2.0
"""Å³ per atom; diamond has 5.7, solid hydrogen at 100 GPa about 4."""
MOST_VOLUME = 1000.0
"""Å³ per atom; the emptiest of the shipped crystals has 202."""
LEAST_DISTANCE = 0.5
"""Å; the shortest bond there is, of the hydrogen molecule, has 0.74."""
MOST_ATOMS = 300


def check_plausible(structure: Structure) -> None:
    """ExperimentFailed says what is wrong, with its number. Nothing is calculated."""
    if not structure.is_ordered:
        raise ExperimentFailed("the structure is disordered: a site is shared by several species")
    atoms = len(structure)
    if atoms > MOST_ATOMS:
        raise ExperimentFailed(f"the cell has {atoms:,} atoms, and at most {MOST_ATOMS} are calculated")
    volume = structure.volume / atoms
    if not LEAST_VOLUME <= volume <= MOST_VOLUME:
        raise ExperimentFailed(
            f"the cell is implausible: {volume:,.4g} Å³ per atom, where {LEAST_VOLUME:g} to {MOST_VOLUME:,.0f} are possible"
        )
    _check_distances(structure)


def _check_distances(structure: Structure) -> None:
    limit = f"closer than {LEAST_DISTANCE} Å"
    shortest = min(structure.lattice.get_lll_reduced_lattice().abc)
    if shortest < LEAST_DISTANCE:
        raise ExperimentFailed(f"every atom is {shortest:.2f} Å from its own image in the next cell, {limit}")
    distances = structure.distance_matrix
    distances[np.diag_indices(len(structure))] = np.inf
    first, second = (int(place) for place in np.unravel_index(distances.argmin(), distances.shape))
    if distances[first, second] < LEAST_DISTANCE:
        names = " and ".join(f"{structure[place].specie.symbol} (site {place + 1})" for place in (first, second))
        raise ExperimentFailed(f"{names} are {distances[first, second]:.2f} Å apart, {limit}")
