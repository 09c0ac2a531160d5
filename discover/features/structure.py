"""Features of a crystal structure, from its geometry and the elements in it; nothing is relaxed or calculated.

================================  ====  =======================================================================
structure:…                       unit  what
================================  ====  =======================================================================
sites                             1     in the cell as given
volume_per_atom                   Å³
volume_ratio                      1     volume over that of the same atoms as elemental solids
density                           g/cm³
packing                           1     volume of spheres of covalent radius over the cell's
electrons_per_volume              1/Å³  valence electrons
spacegroup                        1     number, 1 to 230; tolerance 0.01 Å; 1 where no symmetry is found
crystal_system                    1     0 triclinic to 6 cubic
point_group_order                 1     number of rotations, 1 to 48
centrosymmetric, polar            0/1   has an inversion; leaves a direction unchanged
distinct_sites                    1     share of sites that symmetry does not relate to others
cell_ratio                        1     longest over shortest edge of the Niggli cell
coordination_mean, _deviation,    1     effective coordination number over sites (Hoppe, Z. Kristallogr. 150, 23, 1979)
  _min, _max
bond_mean, _deviation, _min,      Å     bond lengths, weighted as in the coordination number
  _max
bond_ratio_mean, _deviation,      1     bond lengths over the sum of covalent radii
  _min, _max
bonds_per_volume                  1/Å³
bond_valence                      1     valence over coordination, mean over sites: Pauling's bond strength
bond_ionicity                     1     Pauling's ionic character, mean over bonds
bond_alike                        1     share of bonds between the same elements
bond_isotropy                     1     1 if bonds point everywhere alike, 0 if a direction has none (layers, chains)
off_centre                        1     mean length of a site's mean bond direction: 0 if neighbours balance
network                           1     dimensions in which bonds hold the crystal together: 0 molecules … 3 framework
================================  ====  =======================================================================

Bonds are weighted after Hoppe: exp(1 − (d/d̄)⁶), where d̄ is the weighted mean distance of a site's contacts; of a
contact's two ends the one that is nearer to its own mean decides, so that a hydroxide's oxygen still belongs to its
cation. Where a bond has to be decided (`network`) it is no longer than 1.2 times the shortest contact of either end and
1.5 times the covalent radii. Partial occupancy enters by means over the species of a site.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from discover.errors import InvalidInput, Problem
from discover.features.elements import LAST, element_table
from discover.kinds import typed
from discover.values import BlockKind, FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

_SPREAD = ("mean", "deviation", "min", "max")
NAMES = (
    *("sites", "volume_per_atom", "volume_ratio", "density", "packing", "electrons_per_volume"),
    *("spacegroup", "crystal_system", "point_group_order", "centrosymmetric", "polar", "distinct_sites", "cell_ratio"),
    *(f"{name}_{spread}" for name in ("coordination", "bond", "bond_ratio") for spread in _SPREAD),
    *("bonds_per_volume", "bond_valence", "bond_ionicity", "bond_alike", "bond_isotropy", "off_centre", "network"),
)
SYMPREC = 0.01
BONDED = 1.2
TOUCHING = 1.5
_REACH = 1.45  # beyond this many times its nearest contact, a neighbour's weight is below 0.001
_CLOSEST = 0.01  # Å
_FARTHEST = 20.0  # Å; an atom without a neighbour so far away counts as if one stood there
_SYSTEMS = np.array([2, 15, 74, 142, 167, 194])
_CM3_PER_MOL = 1.66053907  # Å³ an atom
_GRAMS = 1.66053907  # u/Å³ in g/cm³


@dataclass(frozen=True)
@typed
class StructureFeatures:
    """Kind `structure`: a column of structures (canonical text, `as_dict()` or pymatgen's) to named numbers."""

    kind: ClassVar[BlockKind] = "structure"
    column: str = "structure"
    version: str = field(default="1", init=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The features, `structure:…`."""
        return tuple(f"structure:{name}" for name in NAMES)

    @property
    def requires(self) -> tuple[str, ...]:
        """The column of structures."""
        return (self.column,)

    @property
    def fingerprint(self) -> str:
        """What the numbers depend on besides the rows."""
        return f"structure {self.version} elements {element_table().hash} symprec {SYMPREC}"

    def transform(self, rows: pd.DataFrame) -> FloatArray:
        """Float64 [n, d]. InvalidInput names every row whose structure cannot be read."""
        table = np.empty((len(rows), len(NAMES)))
        problems = []
        for i, cell in enumerate(rows[self.column]):
            try:
                table[i] = describe(as_pymatgen(cell))
            except Exception as error:
                told = str(error).splitlines()[0] if str(error) else type(error).__name__
                shown = cell[:60] if isinstance(cell, str) else type(cell).__name__
                problems.append(
                    Problem(
                        f"no features from this structure: {told}", row=rows.index[i], column=self.column, value=shown
                    )
                )
        if problems:
            raise InvalidInput("structures", problems[:50])
        return table


def as_pymatgen(cell: Any) -> Any:
    """A pymatgen Structure from its text or `as_dict()`, or itself."""
    from pymatgen.core import Structure

    if isinstance(cell, Structure):
        return cell
    body = cell if isinstance(cell, Mapping) else json.loads(cell)
    return Structure.from_dict(dict(body))


@dataclass(frozen=True)
class _Atoms:
    """Sites as arrays: means of element properties over the species of each site."""

    properties: FloatArray
    kinds: IntArray

    def get(self, name: str) -> FloatArray:
        column: FloatArray = self.properties[:, element_table().names.index(name)]
        return column


@dataclass(frozen=True)
class _Contacts:
    """Neighbours within reach, both ways round: sites i and j, cell of j, distance, its ratio
    to the sum of covalent radii, Hoppe's weight; nearest: [sites] shortest distance."""

    i: IntArray
    j: IntArray
    image: IntArray
    distance: FloatArray
    ratio: FloatArray
    weight: FloatArray
    nearest: FloatArray


def describe(structure: Any) -> FloatArray:
    """Features [d], in the order of NAMES, of one pymatgen Structure."""
    atoms = _atoms(structure)
    contacts = _contacts(structure, atoms.get("covalent_radius"))
    numbers = [*_volumes(structure, atoms), *_symmetry(structure, atoms), *_bonding(structure, atoms, contacts)]
    found = np.array([*numbers, _network(contacts, len(structure))], dtype=np.float64)
    if not np.isfinite(found).all():
        raise ValueError(f"{NAMES[int(np.argmin(np.isfinite(found)))]} is not finite")
    return found


def _atoms(structure: Any) -> _Atoms:
    values = element_table().values
    known: dict[Any, tuple[int, FloatArray]] = {}
    for species in structure.species_and_occu:
        if species in known:
            continue
        weights = np.array(list(species.values()), dtype=float)
        numbers = [getattr(kind, "Z", None) or 0 for kind in species]
        if not all(0 < number <= LAST for number in numbers):
            raise ValueError(f"{species} is not made of the elements 1 to {LAST}")
        known[species] = (len(known) + 1, weights @ values[numbers] / weights.sum())
    picked = [known[species] for species in structure.species_and_occu]
    return _Atoms(np.array([values for _, values in picked]), np.array([kind for kind, _ in picked]))


def _volumes(structure: Any, atoms: _Atoms) -> list[float]:
    volume, sites = structure.volume, len(structure)
    spheres = (4 / 3 * math.pi * atoms.get("covalent_radius") ** 3).sum()
    return [
        sites,
        volume / sites,
        volume / (atoms.get("molar_volume").sum() * _CM3_PER_MOL),
        atoms.get("atomic_mass").sum() * _GRAMS / volume,
        spheres / volume,
        atoms.get("valence").sum() / volume,
    ]


def _symmetry(structure: Any, atoms: _Atoms) -> list[float]:
    import spglib

    lattice = structure.lattice.matrix
    number, rotations, distinct = 1, np.eye(3, dtype=int)[None], len(structure)
    dataset = _quietly(spglib.get_symmetry_dataset, (lattice, structure.frac_coords, atoms.kinds), symprec=SYMPREC)
    if dataset is not None:
        number, rotations = int(dataset.number), np.unique(dataset.rotations, axis=0)
        distinct = len(np.unique(dataset.equivalent_atoms))
    reduced = _quietly(spglib.niggli_reduce, lattice)
    edges = np.linalg.norm(lattice if reduced is None else reduced, axis=1)
    return [
        number,
        float(np.searchsorted(_SYSTEMS, number)),
        len(rotations),
        float((rotations == -np.eye(3, dtype=int)).all(axis=(1, 2)).any()),
        float(np.trace(rotations.mean(axis=0)) > 0.5),
        distinct / len(structure),
        edges.max() / edges.min(),
    ]


def _quietly(search: Any, *given: Any, **options: Any) -> Any:
    """What spglib finds, None where it finds nothing: older versions return None, newer ones may raise.

    Its C library writes warnings to standard error unless it is told not to in the environment.
    """
    before = os.environ.get("SPGLIB_WARNING")
    os.environ["SPGLIB_WARNING"] = "OFF"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return search(*given, **options)
    except Exception:
        return None
    finally:
        if before is None:
            del os.environ["SPGLIB_WARNING"]
        else:
            os.environ["SPGLIB_WARNING"] = before


def _contacts(structure: Any, radii: FloatArray) -> _Contacts:
    """Neighbours out to where Hoppe's weights vanish. The search widens until every site has its nearest ones."""
    sites, cutoff = len(structure), 4.0
    while True:
        i, j, image, distance = structure.get_neighbor_list(cutoff)
        nearest = np.full(sites, np.inf)
        np.minimum.at(nearest, i, distance)
        if nearest.min() < _CLOSEST:
            raise ValueError("two atoms stand in one place")
        needed = float(_REACH * nearest.max())
        if cutoff >= min(needed, _FARTHEST):
            break
        cutoff = min(_FARTHEST, needed if math.isfinite(needed) else 1.6 * cutoff)
    alone = np.flatnonzero(~np.isfinite(nearest))
    if len(alone):
        i, j = np.concatenate([i, alone]), np.concatenate([j, alone])
        image = np.concatenate([image, np.zeros((len(alone), 3))])
        distance = np.concatenate([distance, np.full(len(alone), _FARTHEST)])
        nearest[alone] = _FARTHEST
    i, j, image = i.astype(np.int64), j.astype(np.int64), np.rint(image).astype(np.int64)
    return _Contacts(
        i, j, image, distance, distance / (radii[i] + radii[j]), _weights(distance, nearest, i, j), nearest
    )


def _weights(distance: FloatArray, nearest: FloatArray, i: IntArray, j: IntArray) -> FloatArray:
    """Hoppe's weight of every contact, seen from the end to which it is the more important."""
    first = np.exp(1 - (distance / nearest[i]) ** 6)
    mean = np.bincount(i, first * distance) / np.bincount(i, first)
    found: FloatArray = np.exp(1 - (distance / np.maximum(mean[i], mean[j])) ** 6)
    return found


def _bonding(structure: Any, atoms: _Atoms, contacts: _Contacts) -> list[float]:
    i, j, weight = contacts.i, contacts.j, contacts.weight
    total = weight.sum()
    coordination: FloatArray = np.bincount(i, weight, minlength=len(structure)).astype(np.float64)
    fractional = structure.frac_coords[j] + contacts.image - structure.frac_coords[i]
    direction = structure.lattice.get_cartesian_coords(fractional)
    length = np.linalg.norm(direction, axis=1)
    direction = direction / np.where(length > 0, length, 1.0)[:, None]
    tensor = (weight[:, None, None] * direction[:, :, None] * direction[:, None, :]).sum(axis=0) / total
    pull = np.column_stack([np.bincount(i, weight * direction[:, axis]) for axis in range(3)]) / coordination[:, None]
    difference = atoms.get("electronegativity")[i] - atoms.get("electronegativity")[j]
    return [
        *_spread(coordination, np.ones_like(coordination)),
        *_spread(contacts.distance, weight),
        *_spread(contacts.ratio, weight),
        total / 2 / structure.volume,
        float((atoms.get("valence") / coordination).mean()),
        float((weight * (1 - np.exp(-0.25 * difference**2))).sum() / total),
        float(weight[atoms.kinds[i] == atoms.kinds[j]].sum() / total),
        float(max(0.0, 3 * np.linalg.eigvalsh(tensor)[0])),
        float(np.linalg.norm(pull, axis=1).mean()),
    ]


def _spread(values: FloatArray, weight: FloatArray) -> tuple[float, float, float, float]:
    """Mean, standard deviation, and the range of what has at least a tenth of the largest weight."""
    mean = float((weight * values).sum() / weight.sum())
    deviation = math.sqrt(float((weight * (values - mean) ** 2).sum() / weight.sum()))
    counted = values[weight >= 0.1 * weight.max()]
    return mean, deviation, float(counted.min()), float(counted.max())


def _network(contacts: _Contacts, sites: int) -> int:
    """Dimensions of the most connected part of the bonded network (after Larsen et al., PR Materials 3, 034003, 2019).

    Walk from atom to atom and note in which cell each is met: atoms met again in another cell span the dimensions.
    """
    limit = BONDED * np.maximum(contacts.nearest[contacts.i], contacts.nearest[contacts.j])
    bonded = (contacts.distance <= limit) & (contacts.ratio <= TOUCHING)
    bonds: list[list[tuple[int, IntArray]]] = [[] for _ in range(sites)]
    for i, j, image in zip(
        contacts.i[bonded].tolist(), contacts.j[bonded].tolist(), contacts.image[bonded], strict=True
    ):
        bonds[i].append((j, image))
        bonds[j].append((i, -image))
    cell: dict[int, IntArray] = {}
    best = 0
    for start in range(sites):
        if start in cell:
            continue
        cell[start] = np.zeros(3, dtype=np.int64)
        reached, loops = [start], set()
        for here in reached:
            for there, image in bonds[here]:
                met = cell[here] + image
                if there not in cell:
                    cell[there] = met
                    reached.append(there)
                elif (met != cell[there]).any():
                    loops.add(tuple((met - cell[there]).tolist()))
        if loops:
            best = max(best, int(np.linalg.matrix_rank(np.array(sorted(loops)))))
    return best
