"""Energies, forces and stresses of crystals: the calculators that experiments may name.

A calculator is loaded once a process, when it is first used; what it is (versions, hash of its weights) is known without
loading it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from discover.errors import ExperimentFailed, Unsupported, nearest
from discover.values import FloatArray

if TYPE_CHECKING:
    from pymatgen.core import Structure

GPA_PER_EV_PER_CUBIC_ANGSTROM = 160.21766208
CHGNET_MODEL = "0.3.0"
_CHGNET_WEIGHTS = f"pretrained/{CHGNET_MODEL}/*.pth.tar"
_ATOMS_A_PASS = 288
"""Atoms that one forward pass of CHGNet holds at most (but at least one structure), to bound its memory."""
_ANGLES_A_PASS = 100_000
"""Angles between bonds that one forward pass of CHGNet holds at most; measured: 100 kB each, 10 GB."""


@dataclass(frozen=True)
class Evaluation:
    """n structures with the same atoms: energies [n] in eV a cell, forces [n, atoms, 3] in eV/Å, stresses [n, 3, 3] in GPa.

    A positive stress pulls the cell together.
    """

    energies: FloatArray
    forces: FloatArray
    stresses: FloatArray


class Calculator(Protocol):
    """Something that evaluates crystals."""

    @property
    def label(self) -> str:
        """Its name as people know it: 'CHGNet 0.3.0'."""
        ...

    def identity(self) -> Mapping[str, Any]:
        """JSON: all that decides its numbers beside the structure: model, hash of the weights, package versions."""
        ...

    def about(self) -> Mapping[str, Any]:
        """JSON: `citations` and `cautions`, lists of words."""
        ...

    def evaluate(self, structures: Sequence[Structure], threads: int) -> Evaluation:
        """ExperimentFailed where it cannot treat these structures."""
        ...


@dataclass(frozen=True)
class CHGNet:
    """The pretrained universal potential CHGNet, on the processor, in single precision."""

    @property
    def label(self) -> str:
        return f"CHGNet {CHGNET_MODEL}"

    def identity(self) -> Mapping[str, Any]:
        versions = _versions("chgnet", ("chgnet", "torch", "pymatgen", "numpy"))
        return {"model": self.label, "weights_sha256": _chgnet_weights(), "versions": versions}

    def about(self) -> Mapping[str, Any]:
        return {
            "citations": [
                "B. Deng et al., CHGNet, Nature Machine Intelligence 5, 1031 (2023), doi:10.1038/s42256-023-00716-3"
            ],
            "cautions": [
                "CHGNet is soft: it underestimates the curvature of the energy, and with it most bulk moduli"
                " (B. Deng et al., npj Computational Materials 11, 9 (2025), doi:10.1038/s41524-024-01500-6)",
                "CHGNet was trained on relaxations of the Materials Project (PBE and PBE+U)",
            ],
        }

    def evaluate(self, structures: Sequence[Structure], threads: int) -> Evaluation:
        import torch

        model = _load_chgnet()
        atoms = len(structures[0])
        with _torch_threads(threads), torch.enable_grad(), warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="Converting a tensor with requires_grad=True", category=UserWarning
            )
            try:
                graphs = [_graph(model, structure) for structure in structures]
                angles = max(1, *(len(graph.bond_graph) for graph in graphs))
                batch = max(1, min(_ATOMS_A_PASS // atoms, _ANGLES_A_PASS // angles))
                found = model.predict_graph(graphs, task="efs", batch_size=batch)
            except MemoryError as error:
                raise ExperimentFailed("CHGNet ran out of memory", retryable=True) from error
            except (ValueError, RuntimeError, IndexError, KeyError) as error:
                told = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
                raise ExperimentFailed(
                    f"CHGNet cannot treat this structure: {told}", retryable="alloc" in told
                ) from error
        return Evaluation(
            energies=np.array([float(one["e"]) * atoms for one in found]),
            forces=np.array([one["f"] for one in found], dtype=np.float64),
            stresses=np.array([one["s"] for one in found], dtype=np.float64),
        )


@dataclass(frozen=True)
class EffectiveMediumTheory:
    """ASE's effective medium theory: quick, and good for fcc metals (Al, Ni, Cu, Pd, Ag, Pt, Au) and their alloys only."""

    @property
    def label(self) -> str:
        return "ASE effective medium theory"

    def identity(self) -> Mapping[str, Any]:
        return {"model": self.label, "versions": _versions("emt", ("ase", "numpy"))}

    def about(self) -> Mapping[str, Any]:
        citation = "K. W. Jacobsen, P. Stoltze, J. K. Nørskov, Surface Science 366, 394 (1996)"
        return {"citations": [citation], "cautions": ["fitted to seven fcc metals"]}

    def evaluate(self, structures: Sequence[Structure], threads: int) -> Evaluation:
        from ase import Atoms
        from ase.calculators.emt import EMT, parameters

        strange = sorted({site.specie.symbol for site in structures[0]} - set(parameters))
        if strange:
            raise ExperimentFailed(f"effective medium theory does not know {', '.join(strange)}")
        energies, forces, stresses = [], [], []
        for structure in structures:
            numbers = [site.specie.Z for site in structure]
            atoms = Atoms(numbers, scaled_positions=structure.frac_coords, cell=structure.lattice.matrix, pbc=True)
            atoms.calc = EMT()
            energies.append(atoms.get_potential_energy())
            forces.append(atoms.get_forces())
            stresses.append(atoms.get_stress(voigt=False) * GPA_PER_EV_PER_CUBIC_ANGSTROM)
        return Evaluation(np.array(energies, dtype=np.float64), np.array(forces), np.array(stresses))


CALCULATORS: Mapping[str, Callable[[], Calculator]] = {"chgnet": CHGNet, "emt": EffectiveMediumTheory}


def calculator(name: str) -> Calculator:
    """The calculator of that name. Unsupported if there is none."""
    if name not in CALCULATORS:
        raise Unsupported(f"there is no calculator {name!r} ({nearest(name, CALCULATORS)})")
    return CALCULATORS[name]()


def _versions(name: str, packages: Sequence[str]) -> dict[str, str]:
    """Versions without their local part: a build for other hardware (`2.6.0+cpu`) is the same version.

    Unsupported names the command that installs what is missing.
    """
    found = {package: _version(package) for package in packages}
    missing = [package for package, number in found.items() if not number]
    if missing:
        raise Unsupported(
            f"the calculator {name!r} needs {', '.join(missing)}, not installed here: pip install 'discover-loop[atomistic]'"
        )
    return found


def _version(package: str) -> str:
    """ "" where it is not installed. What computes in pymatgen is pymatgen-core, where that is a package of its own."""
    for name in ("pymatgen-core", "pymatgen") if package == "pymatgen" else (package,):
        try:
            return version(name).split("+")[0]
        except PackageNotFoundError:
            continue
    return ""


@lru_cache(maxsize=1)
def _chgnet_weights() -> str:
    """SHA-256 of the weights file inside the installed package."""
    spec = find_spec("chgnet")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    files = sorted(Path(spec.submodule_search_locations[0]).glob(_CHGNET_WEIGHTS))
    if len(files) != 1:
        raise Unsupported(
            f"the installed chgnet has {len(files)} files of weights for model {CHGNET_MODEL}, not one: install chgnet 0.4.2"
        )
    return hashlib.sha256(files[0].read_bytes()).hexdigest()


def _graph(model: Any, structure: Structure) -> Any:
    """CHGNet's graph of a structure. ExperimentFailed where a pass would take more memory than machines have."""
    unwritten = copy(structure)
    # Where it fails, the converter writes the structure as a file into the working folder, which is the user's.
    unwritten.to = lambda *_, **__: ""  # type: ignore[method-assign]
    try:
        graph = model.graph_converter(unwritten)
    except RuntimeError as error:
        raise RuntimeError(str(error).replace(", check bond_graph_error.cif", "")) from error
    if len(graph.bond_graph) > _ANGLES_A_PASS:
        told = f"{len(graph.bond_graph):,} angles between near neighbours, and {_ANGLES_A_PASS:,} are possible"
        raise ExperimentFailed(f"the crystal is too dense and too large for CHGNet: {told}")
    return graph


@lru_cache(maxsize=1)
def _load_chgnet() -> Any:
    _versions("chgnet", ("chgnet", "torch"))
    from chgnet.model import CHGNet as Model

    with contextlib.redirect_stdout(io.StringIO()):  # it greets on standard output, where commands print JSON
        return Model.load(model_name=CHGNET_MODEL, use_device="cpu", verbose=False)


@contextlib.contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    """Torch's threads are the process's: borrowed, and given back."""
    import torch

    before = torch.get_num_threads()
    if before == threads:
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
