"""A bulk modulus, calculated: uniform scaling at fixed fractional coordinates, and a Birch–Murnaghan fit.

The atoms do not move within the cell and the cell keeps its shape, so the number is too large for crystals that would
rather bend than be squeezed: layers, molecules, open frameworks. Where that shows most the experiment gives no number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from discover.candidates.materials.structures import as_structure, structure_hash
from discover.errors import ExperimentFailed, InvalidInput, Problem, nearest
from discover.experiment.crystals.birch_murnaghan import EquationOfStateFit, fit_birch_murnaghan
from discover.experiment.crystals.cache import CalculationCache, digest
from discover.experiment.crystals.calculators import CALCULATORS, Calculator, Evaluation, calculator
from discover.experiment.crystals.plausible import check_plausible
from discover.kinds import typed
from discover.threads import MOST as MOST_THREADS
from discover.values import FloatArray, Proposal, Result, Value

if TYPE_CHECKING:
    from pymatgen.core import Structure

METHOD = "equation-of-state/1"
"""Raised whenever the same settings give other numbers than before."""
MOST_VOLUMES = 1001
"""Volumes of one scan, whose structures are all in memory together."""
LARGEST_RESIDUAL = 0.02
"""Root mean square of the residuals over the depth of the curve; measured: 95 % of 132 crystals lie below 0.014."""
LARGEST_SPREAD = 0.5
"""Spread of the principal stresses' change at the smallest volume, over its mean."""
LARGEST_FORCE_CHANGE = 1.0
"""eV/Å, of any force at the smallest volume."""


@dataclass(frozen=True)
@typed
class EquationOfState:
    """Bulk modulus by uniform scaling at fixed fractional coordinates.

    calculator: `chgnet`, or `emt` for tests. target: the name under which it is told, in GPa. structure: the candidate's
    column of structures. volumes: how many, an odd number from 7 to 1,001, so that the structure as given is one of them.
    strain: the largest change of every length; 0.02 spans volumes from -5.9 % to +6.1 %. threads: for the calculator;
    another number of threads may change the last digits.

    The number is told only if the fit has a minimum inside the range, its residual is small (`LARGEST_RESIDUAL`), and the
    crystal is compressed evenly from the middle of the range to its smallest volume: principal stresses
    (`LARGEST_SPREAD`) and forces (`LARGEST_FORCE_CHANGE`). Otherwise it has failed for good, with the reason in words and
    numbers. Where the minimum lies outside, the range is moved once, to be centred on its lower end. The standard
    deviation is that of the fit alone. Cells that cannot be meant are not calculated: see `plausible`.
    """

    calculator: Literal["chgnet", "emt"] = "chgnet"
    target: str = "bulk_modulus"
    structure: str = "structure"
    volumes: int = 9
    strain: float = 0.02
    threads: int = 1
    cache: Path | None = field(default=None, repr=False, metadata={"internal": True})

    def __post_init__(self) -> None:
        problems = []
        if self.calculator not in CALCULATORS:
            hint = nearest(str(self.calculator), CALCULATORS)
            problems.append(Problem("unknown calculator", column="calculator", value=self.calculator, way_out=hint))
        if not 7 <= self.volumes <= MOST_VOLUMES or self.volumes % 2 == 0:
            message = f"must be an odd number from 7 to {MOST_VOLUMES:,}"
            problems.append(Problem(message, column="volumes", value=self.volumes))
        if not 0 < self.strain <= 0.1:
            problems.append(Problem("must be above 0 and at most 0.1", column="strain", value=self.strain))
        if not 1 <= self.threads <= MOST_THREADS:
            problems.append(Problem(f"must be from 1 to {MOST_THREADS:,}", column="threads", value=self.threads))
        problems += [
            Problem("must not be empty", column=name, value="")
            for name, text in (("target", self.target), ("structure", self.structure))
            if not text.strip()
        ]
        if problems:
            raise InvalidInput("experiment 'equation-of-state'", problems)

    @property
    def requires(self) -> tuple[str, ...]:
        """The column of structures."""
        return (self.structure,)

    @property
    def targets(self) -> Mapping[str, str]:
        """The target, in GPa."""
        return {self.target: "GPa"}

    @property
    def deterministic(self) -> bool:
        """The same structure gives the same answer."""
        return True

    @property
    def method(self) -> str:
        """The name of the number, wherever it is shown."""
        return f"bulk modulus by uniform scaling at fixed fractional coordinates ({calculator(self.calculator).label})"

    def located(self, base: Path, files: Path) -> EquationOfState:
        """The same experiment with its cache under `files`."""
        return replace(self, cache=Path(files) / "cache")

    def identity(self) -> dict[str, Any]:
        """JSON: all that decides the number beside the structure. Unsupported if the calculator is not installed."""
        settings = {
            "volumes": self.volumes,
            "strain": self.strain,
            "threads": self.threads,
            "largest_residual": LARGEST_RESIDUAL,
            "largest_spread": LARGEST_SPREAD,
            "largest_force_change": LARGEST_FORCE_CHANGE,
        }
        return {"method": METHOD, "calculator": dict(calculator(self.calculator).identity()), "settings": settings}

    def describe(self) -> Mapping[str, Any]:
        """`method` in words, `identity` and its hash `key` (equal keys: comparable numbers), `citations`, `cautions`.

        `std_means`: what the number's standard deviation is, for whoever reads `±` beside it.
        """
        about = calculator(self.calculator).about()
        identity = self.identity()
        return {
            "kind": "equation-of-state",
            "method": self.method,
            "unit": "GPa",
            "std_means": "the standard deviation of the fit alone, not the accuracy of the number",
            "identity": identity,
            "key": digest(identity),
            "citations": [*about["citations"], "F. Birch, Phys. Rev. 71, 809 (1947), doi:10.1103/PhysRev.71.809"],
            "cautions": [
                *about["cautions"],
                "the atoms keep their fractional coordinates and the cell its shape: relaxing them would as a rule give less;"
                " open frameworks of rigid tetrahedra pass the tests and are far too stiff (quartz: 170, measured 38 GPa)",
            ],
        }

    def run(self, proposal: Proposal) -> Result:
        """The number, or a final failure with its reason; `details` holds the curve. A stored calculation is used again."""
        content, structure = self._structure(proposal)
        check_plausible(structure)
        key = {"structure": content, **self.identity()}
        cache = CalculationCache(self.cache)
        entry = cache.get(key)
        if entry.body is not None:
            return self._result(entry.body, cached=True)
        body = _calculate(structure, calculator(self.calculator), self.volumes, self.strain, self.threads)
        notes = [note for note in (entry.problem, cache.put(key, body)) if note]
        return self._result(body, notes=notes)

    def _structure(self, proposal: Proposal) -> tuple[str, Structure]:
        """The structure and the hash of its content."""
        if proposal.candidate is None:
            raise ExperimentFailed(f"the proposal of {proposal.candidate_id!r} does not carry its candidate")
        text = proposal.candidate.values.get(self.structure)
        if not isinstance(text, str) or not text:
            raise ExperimentFailed(f"the candidate has no crystal structure in its column {self.structure!r}")
        try:
            return structure_hash(text), as_structure(text)
        except InvalidInput as error:
            raise ExperimentFailed(f"the structure cannot be read: {error.problems[0].message[:200]}") from error

    def _result(self, body: Mapping[str, Any], *, cached: bool = False, notes: list[str] | None = None) -> Result:
        details = {"method": self.method, **body["curve"], **({"cache": "; ".join(notes)} if notes else {})}
        if body["reason"]:
            return Result("failed", reason=body["reason"], cached=cached, details=details)
        value = Value(body["modulus"], body["modulus_std"])
        return Result("measured", {self.target: value}, cached=cached, details=details)


@dataclass(frozen=True)
class _Scan:
    """A crystal at n sizes: `lengths` [n], relative to the structure as given, in ascending order; volumes [n] in Å³."""

    lengths: FloatArray
    volumes: FloatArray
    found: Evaluation
    fit: EquationOfStateFit | None

    @property
    def holds_minimum(self) -> bool:
        return self.fit is not None and bool(self.volumes[0] < self.fit.volume < self.volumes[-1])

    @property
    def principal_stresses(self) -> FloatArray:
        """[3] GPa: principal values of the stress's change from the middle to the smallest volume, ascending."""
        middle = len(self.lengths) // 2
        return np.linalg.eigvalsh(self.found.stresses[0] - self.found.stresses[middle])

    @property
    def force_change(self) -> float:
        """eV/Å: the largest change of a force from the middle to the smallest volume."""
        middle = len(self.lengths) // 2
        return float(np.linalg.norm(self.found.forces[0] - self.found.forces[middle], axis=1).max())


def _calculate(structure: Structure, model: Calculator, volumes: int, strain: float, threads: int) -> dict[str, Any]:
    """JSON: `reason` (empty for a number), `modulus` and `modulus_std` in GPa, and the `curve`."""
    steps = np.linspace(1 - strain, 1 + strain, volumes)
    scan = _scan(structure, steps, model, threads)
    moved = not scan.holds_minimum
    if moved:
        lower_end = 0 if scan.found.energies[0] < scan.found.energies[-1] else -1
        scan = _scan(structure, scan.lengths[lower_end] * steps, model, threads)
    reasons, curve = _refusals(scan), _curve(scan, len(structure), moved)
    fit = {} if reasons else curve["fit"]
    return {
        "reason": "; ".join(reasons),
        "modulus": fit.get("modulus"),
        "modulus_std": fit.get("modulus_std"),
        "curve": curve,
    }


def _scan(structure: Structure, lengths: FloatArray, model: Calculator, threads: int) -> _Scan:
    from pymatgen.core import Lattice
    from pymatgen.core import Structure as Crystal

    species = [site.specie.element if hasattr(site.specie, "element") else site.specie for site in structure]
    scaled = [Crystal(Lattice(structure.lattice.matrix * x), species, structure.frac_coords) for x in lengths]
    found = model.evaluate(scaled, threads)
    if not all(np.isfinite(part).all() for part in (found.energies, found.forces, found.stresses)):
        raise ExperimentFailed(f"{model.label} gave a number that is not finite")
    volumes = structure.volume * lengths**3
    return _Scan(lengths, volumes, found, fit_birch_murnaghan(volumes, found.energies))


def _refusals(scan: _Scan) -> list[str]:
    """Why the scan gives no number; empty where it does."""
    if scan.fit is None:
        return ["the fit did not converge: the energy has no minimum over the volumes"]
    if not scan.holds_minimum:
        low, high = scan.volumes[0], scan.volumes[-1]
        return [f"minimum outside the range: {scan.fit.volume:.2f} Å³, and the volumes are {low:.2f} to {high:.2f} Å³"]
    reasons = []
    if not scan.fit.residual < LARGEST_RESIDUAL:
        reasons.append(
            f"the fit is poor: its residuals are {scan.fit.residual:.1%} of the curve's depth (limit {LARGEST_RESIDUAL:.0%})"
        )
    stresses, mean = scan.principal_stresses, abs(float(scan.principal_stresses.mean()))
    if not float(np.ptp(stresses)) < LARGEST_SPREAD * mean:
        told = ", ".join(f"{stress:.1f}" for stress in stresses)
        reasons.append(
            f"not hydrostatic: the principal stresses change by {told} GPa to the smallest volume, a spread of"
            f" {np.ptp(stresses) / mean if mean else np.inf:.2f} of their mean (limit {LARGEST_SPREAD})"
        )
    if not scan.force_change < LARGEST_FORCE_CHANGE:
        reasons.append(
            f"not hydrostatic: a force changes by {scan.force_change:.2f} eV/Å to the smallest volume"
            f" (limit {LARGEST_FORCE_CHANGE:g})"
        )
    return reasons


def _curve(scan: _Scan, atoms: int, moved: bool) -> dict[str, Any]:
    """JSON for the store: what was calculated and fitted. Volumes in Å³ and energies in eV, per atom."""
    curve: dict[str, Any] = {
        "lengths": scan.lengths.tolist(),
        "volumes": (scan.volumes / atoms).tolist(),
        "energies": (scan.found.energies / atoms).tolist(),
        "stress_changes": scan.principal_stresses.tolist(),
        "force_change": scan.force_change,
        "range_moved": moved,
    }
    if scan.fit is not None:
        curve["fit"] = {
            "volume": scan.fit.volume / atoms,
            "energy": scan.fit.energy / atoms,
            "modulus": scan.fit.modulus,
            "modulus_std": scan.fit.modulus_std if np.isfinite(scan.fit.modulus_std) else None,
            "derivative": scan.fit.derivative,
            "residual": scan.fit.residual if np.isfinite(scan.fit.residual) else None,
        }
    return curve
