"""The calculated bulk modulus: exact where a curve is known, refused where it would mislead, the same twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from discover.candidates.materials.structures import as_structure, structure_text
from discover.candidates.snapshots.snapshot import Snapshot
from discover.errors import ExperimentFailed, InvalidInput, Unsupported
from discover.experiment.conformance import check_experiment
from discover.experiment.crystals import calculators, equation_of_state
from discover.experiment.crystals.calculators import Evaluation, calculator
from discover.experiment.crystals.equation_of_state import EquationOfState
from discover.experiment.crystals.plausible import check_plausible
from discover.values import Proposal, Result
from tests.experiment.conftest import SHIPPED, fcc, proposal

pytest.importorskip("ase", reason="the extra 'atomistic' is not installed")
EMT = EquationOfState(calculator="emt")
Shipped = Callable[[str, str, int], Proposal]


def test_copper_has_the_modulus_of_its_known_curve() -> None:
    """ASE's own fit to the same potential, over the same volumes."""
    from ase.build import bulk
    from ase.calculators.emt import EMT as Potential
    from ase.eos import EquationOfState as Reference

    volumes, energies = [], []
    for length in np.linspace(0.98, 1.02, 9):
        atoms = bulk("Cu", "fcc", a=3.6 * length)
        atoms.calc = Potential()
        volumes.append(atoms.get_volume())
        energies.append(atoms.get_potential_energy())
    volume, _, modulus = Reference(volumes, energies, eos="birchmurnaghan").fit()

    result = EMT.run(proposal("Cu", structure=fcc("Cu", 3.6)))
    assert result.status == "measured"
    assert result.values["bulk_modulus"].value == pytest.approx(modulus * 160.21766208, rel=1e-4)
    assert result.values["bulk_modulus"].value == pytest.approx(134, abs=2)
    fit = result.details["fit"]
    assert fit["volume"] == pytest.approx(volume, rel=1e-6)
    assert fit["residual"] < 1e-3
    assert result.values["bulk_modulus"].std < 0.5  # type: ignore[operator]
    assert len(result.details["volumes"]) == 9
    assert result.details["force_change"] == pytest.approx(0, abs=1e-9)
    assert np.ptp(result.details["stress_changes"]) == pytest.approx(0, abs=1e-9)
    assert max(result.details["stress_changes"]) < 0, "a compressed crystal pushes back"


def test_stress_is_the_slope_of_energy() -> None:
    """Pressure by stress equals minus dE/dV of the fitted curve: units and sign of both calculators' stresses."""
    text = fcc("Cu", 3.6)
    models = [(calculator("emt"), 0.02), *([(calculator("chgnet"), 0.25)] if find_spec("chgnet") else [])]
    for model, tolerance in models:
        sizes = np.linspace(0.97, 0.99, 9)
        scan = equation_of_state._scan(as_structure(text), sizes, model, 1)
        slope = np.gradient(scan.found.energies, scan.volumes)[4] * 160.21766208
        assert scan.found.stresses[4].trace() / 3 == pytest.approx(slope, rel=tolerance)


@pytest.mark.parametrize("length", [3.5, 3.72])
def test_the_range_is_moved_once(length: float) -> None:
    moved = EMT.run(proposal("Cu", structure=fcc("Cu", length)))
    assert moved.status == "measured"
    assert moved.details["range_moved"] is True
    assert moved.values["bulk_modulus"].value == pytest.approx(134, abs=4)
    assert len(moved.details["lengths"]) == 9


@pytest.mark.parametrize("length", [3.0, 4.0])
def test_a_minimum_far_away_is_a_final_failure(length: float) -> None:
    result = EMT.run(proposal("Cu", structure=fcc("Cu", length)))
    assert result.status == "failed"
    assert not result.retryable
    assert "minimum" in result.reason


def test_cell_and_supercell_agree() -> None:
    crystal = as_structure(fcc("Cu", 3.6))
    large = structure_text(crystal.make_supercell([2, 1, 1], in_place=False))
    one, other = EMT.run(proposal("a", structure=fcc("Cu", 3.6))), EMT.run(proposal("b", structure=large))
    assert one.values["bulk_modulus"].value == pytest.approx(other.values["bulk_modulus"].value, rel=1e-6)
    assert one.details["volumes"] == pytest.approx(other.details["volumes"])


class _Curve:
    """A calculator with a curve of our choice, for crystals of one atom."""

    label = "a curve"

    def __init__(self, energy: Callable[[float], float], stress: Any = None, force: float = 0.0):
        self.energy, self.stress, self.force = energy, stress, force

    def evaluate(self, structures: Any, threads: int) -> Evaluation:
        volumes = [structure.volume for structure in structures]
        pushes = [100 * (volume / volumes[len(volumes) // 2] - 1) for volume in volumes]
        shape = np.diag(self.stress if self.stress is not None else [1.0, 1.0, 1.0])
        forces = [[[self.force * push / pushes[0], 0.0, 0.0]] for push in pushes]
        return Evaluation(
            np.array([self.energy(v) for v in volumes]), np.array(forces), np.array([push * shape for push in pushes])
        )


def _judged(model: _Curve) -> dict[str, Any]:
    return equation_of_state._calculate(as_structure(fcc("Cu", 3.6)), model, 9, 0.02, 1)  # type: ignore[arg-type]


def _bowl(volume: float) -> float:
    return 0.05 * (volume - 11.664) ** 2


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (_Curve(_bowl), ""),
        (_Curve(lambda v: -_bowl(v)), "minimum"),
        (_Curve(lambda v: v), "minimum"),
        (_Curve(lambda v: _bowl(v) + 1e-3 * np.sin(60 * v)), "the fit is poor: its residuals are"),
        (_Curve(_bowl, stress=[1, 1, 0.75]), ""),
        (_Curve(_bowl, stress=[1, 1, 0.55]), "spread of 0.53 of their mean (limit 0.5)"),
        (_Curve(_bowl, stress=[1, 0.01, 0.01]), "not hydrostatic: the principal stresses"),
        (_Curve(_bowl, force=0.99), ""),
        (_Curve(_bowl, force=1.01), "not hydrostatic: a force changes by 1.01 eV/Å"),
    ],
)
def test_every_refusal_has_its_reason_and_numbers(model: _Curve, reason: str) -> None:
    body = _judged(model)
    assert reason in body["reason"]
    assert bool(body["reason"]) == bool(reason)
    assert (body["modulus"] is None) == bool(reason)
    json.dumps(body, allow_nan=False)


def test_a_calculator_that_gives_no_number_fails_the_experiment() -> None:
    with pytest.raises(ExperimentFailed, match="not finite"):
        _judged(_Curve(lambda v: float("nan")))


def test_the_contract_is_kept(tmp_path: Path) -> None:
    results = check_experiment(
        EMT,
        [
            proposal("Cu", structure=fcc("Cu", 3.6)),
            proposal("far", structure=fcc("Cu", 4.2)),
            proposal("Fe", structure=fcc("Fe", 3.6)),
            proposal("none", structure="{}"),
        ],
        files=tmp_path,
    )
    assert [result.status for result in results] == ["measured", "failed", "failed", "failed"]
    assert "does not know Fe" in results[2].reason
    assert "structure" in results[3].reason


def _crystal(edge: float, *places: tuple[float, float, float]) -> str:
    """Silicon at these fractional places of a cube; edge in Å."""
    sites = [{"species": [{"element": "Si", "occu": 1}], "abc": list(place)} for place in places]
    return structure_text({"lattice": {"matrix": (np.eye(3) * edge).tolist()}, "sites": sites})


_FLAT = {
    "lattice": {"matrix": [[0.3, 0, 0], [0, 9, 0], [0, 0, 9]]},
    "sites": json.loads(_crystal(9, (0, 0, 0)))["sites"],
}


@pytest.mark.parametrize(
    ("structure", "reason"),
    [
        (_crystal(1.0, (0, 0, 0)), "the cell is implausible: 1 Å³ per atom"),
        (_crystal(10.1, (0, 0, 0)), "the cell is implausible: 1,030 Å³ per atom"),
        (_crystal(4.0, (0, 0, 0), (0, 0, 0)), "Si (site 1) and Si (site 2) are 0.00 Å apart, closer than 0.5 Å"),
        (_crystal(4.0, (0, 0, 0), (0.5, 0.5, 0.5), (0, 0, 0.9)), "Si (site 1) and Si (site 3) are 0.40 Å apart"),
        (structure_text(_FLAT), "every atom is 0.30 Å from its own image"),
        (_crystal(40, *((i / 301, 0, 0) for i in range(301))), "the cell has 301 atoms, and at most 300"),
    ],
)
@pytest.mark.parametrize("kind", ["emt", "chgnet"])
def test_absurd_cells_are_refused_before_any_calculation(
    kind: Any, structure: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(equation_of_state, "_calculate", lambda *_: pytest.fail("it was calculated"))
    with pytest.raises(ExperimentFailed) as caught:
        EquationOfState(calculator=kind).run(proposal("x", structure=structure))
    assert reason in str(caught.value)
    assert not caught.value.retryable


def test_every_shipped_crystal_is_plausible() -> None:
    (manifest,) = SHIPPED.glob("*.json")
    texts = Snapshot.open(manifest.stem, SHIPPED).frame(["structure"])["structure"]
    assert len(texts) > 4000
    for text in texts:
        check_plausible(as_structure(text))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("3.6", "NaN", "not 3 × 3 finite numbers"),
        ("3.6", "0.0", "the cell has no volume"),
        ('"occu":1.0', '"occu":0.0', "an occupancy is 0.0"),
        ('"abc":[0.0', '"abc":[NaN', "it holds nan"),
    ],
)
def test_what_is_no_structure_fails_with_a_short_reason(old: str, new: str, reason: str) -> None:
    text = _crystal(3.6, (0, 0, 0))
    assert old in text
    with pytest.raises(ExperimentFailed, match="the structure cannot be read: not a crystal structure") as caught:
        EMT.run(proposal("x", structure=text.replace(old, new)))
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 120


def test_disordered_crystals_are_refused() -> None:
    site = {"species": [{"element": "Cu", "occu": 0.5}, {"element": "Au", "occu": 0.5}], "abc": [0, 0, 0]}
    text = structure_text({"lattice": {"matrix": np.eye(3) * 3}, "sites": [site]})
    with pytest.raises(ExperimentFailed, match="disordered"):
        EMT.run(proposal("x", structure=text))


def test_a_calculation_is_kept_and_used_again(tmp_path: Path) -> None:
    experiment = EMT.located(tmp_path, tmp_path / "files")
    first = experiment.run(proposal("Cu", structure=fcc()))
    again = EMT.located(tmp_path, tmp_path / "files").run(proposal("other id", structure=fcc()))
    assert not first.cached
    assert again.cached
    assert replace(again, cached=False) == first
    entries = list((tmp_path / "files" / "cache").glob("*.json"))
    assert len(entries) == 1

    assert not experiment.run(proposal("Cu", structure=fcc("Cu", 3.61))).cached
    assert not replace(experiment, volumes=11).run(proposal("Cu", structure=fcc())).cached
    assert not replace(experiment, strain=0.03).run(proposal("Cu", structure=fcc())).cached
    assert len(list((tmp_path / "files" / "cache").glob("*.json"))) == 4

    entries[0].write_text(entries[0].read_text().replace('"modulus":1', '"modulus":9'))
    repaired = experiment.run(proposal("Cu", structure=fcc()))
    assert not repaired.cached
    assert repaired.values == first.values
    assert "did not match its hash" in repaired.details["cache"]
    assert experiment.run(proposal("Cu", structure=fcc())).cached


def test_a_refusal_is_kept_too(tmp_path: Path) -> None:
    experiment = EMT.located(tmp_path, tmp_path)
    first, again = (experiment.run(proposal("far", structure=fcc("Cu", 4.2))) for _ in range(2))
    assert again.cached
    assert again.reason == first.reason


def test_versions_and_weights_decide_about_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = EMT.located(tmp_path, tmp_path)
    experiment.run(proposal("Cu", structure=fcc()))
    key = experiment.describe()["key"]
    monkeypatch.setattr(calculators, "version", lambda package: "0.0.1")
    assert not experiment.run(proposal("Cu", structure=fcc())).cached
    assert experiment.describe()["key"] != key


def test_a_missing_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str) -> str:
        raise calculators.PackageNotFoundError(package)

    monkeypatch.setattr(calculators, "version", absent)
    for name in ("chgnet", "emt"):
        with pytest.raises(Unsupported, match=r"pip install 'discover-loop\[atomistic\]'"):
            EquationOfState(calculator=name).describe()  # type: ignore[arg-type]


def test_options_are_checked_together() -> None:
    with pytest.raises(InvalidInput) as caught:
        EquationOfState(calculator="chgnett", volumes=8, strain=0.2, threads=0, target=" ")  # type: ignore[arg-type]
    assert len(caught.value.problems) == 5
    assert "did you mean 'chgnet'?" in str(caught.value)
    with pytest.raises(InvalidInput) as caught:
        EquationOfState(volumes=10**9 + 1, threads=10**9)
    assert [problem.column for problem in caught.value.problems] == ["volumes", "threads"]


def test_importing_the_room_is_light() -> None:
    rooms = "from discover.experiment import callable, caution, conformance, table; "
    rooms += "from discover.experiment.crystals import cache, calculators, equation_of_state, plausible; "
    program = f"{rooms}import sys; print([m for m in ('torch', 'pymatgen', 'ase', 'chgnet') if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def run(shipped: Shipped) -> Callable[..., Result]:
    """(formula, space-group symbol, sites) to what CHGNet finds."""
    return lambda *crystal: EquationOfState().run(shipped(*crystal))


@pytest.mark.skipif(find_spec("chgnet") is None, reason="the extra 'atomistic' is not installed")
class TestCHGNet:
    """With the real potential, on structures of the shipped snapshot."""

    @pytest.mark.parametrize(
        ("crystal", "modulus"),
        [(("C", "Fd-3m", 2), 427), (("MgO", "Fm-3m", 2), 134), (("BeO", "F-43m", 2), 151), (("BeO", "P6_3mc", 4), 150)],
    )
    def test_stiff_networks_pass(self, run: Callable[..., Result], crystal: tuple[Any, ...], modulus: float) -> None:
        result = run(*crystal)
        assert result.status == "measured", result.reason
        assert result.values["bulk_modulus"].value == pytest.approx(modulus, rel=0.02)
        assert result.details["method"] == (
            "bulk modulus by uniform scaling at fixed fractional coordinates (CHGNet 0.3.0)"
        )

    @pytest.mark.parametrize(
        "crystal", [("BN", "Fmm2", 2), ("BN", "P6_3/mmc", 4), ("BN", "P-6m2", 4), ("BN", "R3m", 2)]
    )
    def test_layered_boron_nitride_is_not_hydrostatic(
        self, run: Callable[..., Result], crystal: tuple[Any, ...]
    ) -> None:
        result = run(*crystal)
        assert result.status == "failed"
        assert not result.retryable
        assert "not hydrostatic: the principal stresses" in result.reason
        assert result.details["fit"]["modulus"] > 150, "the fit alone would have believed it"
        assert result.details["fit"]["residual"] < equation_of_state.LARGEST_RESIDUAL

    @pytest.mark.parametrize(
        "crystal", [("CO2", "Pa-3", 12), ("CO2", "Pbcn", 12), ("CO2", "P4_12_12", 12), ("CO2", "P4_2/mnm", 6)]
    )
    def test_molecular_carbon_dioxide_is_not_hydrostatic(
        self, run: Callable[..., Result], crystal: tuple[Any, ...]
    ) -> None:
        result = run(*crystal)
        assert result.status == "failed"
        assert "not hydrostatic: a force changes by" in result.reason
        assert 90 < result.details["fit"]["modulus"] < 110, "the fit alone would have believed it"
        assert result.details["fit"]["residual"] < equation_of_state.LARGEST_RESIDUAL

    def test_the_contract_is_kept(self, shipped: Shipped, tmp_path: Path) -> None:
        check_experiment(EquationOfState(), [shipped("BeO", "P6_3mc", 4), shipped("BN", "Fmm2", 2)], files=tmp_path)

    def test_twice_is_the_same_bit_for_bit_and_leaves_torch_alone(self, shipped: Shipped) -> None:
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            first, second = (EquationOfState(threads=1).run(shipped("SiO2", "P3_121", 9)) for _ in range(2))
            assert first == second
            assert not second.cached
            assert torch.get_num_threads() == 2
            assert torch.get_default_dtype() == torch.float32
        finally:
            torch.set_num_threads(before)

    def test_an_atom_alone_is_a_reason_not_a_crash(self) -> None:
        with pytest.raises(ExperimentFailed, match=r"CHGNet cannot treat this structure: .*isolated"):
            EquationOfState().run(proposal("gas", structure=fcc("Ar", 12.0)))

    def test_a_crystal_that_would_fill_the_memory_is_refused(self) -> None:
        places = [(i / 6, j / 6, k / 6) for i in range(6) for j in range(6) for k in range(6)]
        with pytest.raises(ExperimentFailed, match=r"too dense and too large for CHGNet: \d+,\d+ angles"):
            EquationOfState().run(proposal("dense", structure=_crystal(6 * 1.5, *places)))

    def test_nothing_is_left_in_the_working_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from chgnet.graph.graph import Graph

        def broken(graph: Any, cutoff: float) -> None:
            raise ValueError("no graph")

        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(Graph, "line_graph_adjacency_list", broken)
        with pytest.raises(ExperimentFailed, match=r"Failed creating bond graph for None$"):
            EquationOfState().run(proposal("Cu", structure=fcc()))
        assert not list(tmp_path.iterdir())

    def test_it_says_what_it_is(self) -> None:
        said = EquationOfState().describe()
        assert said["identity"]["calculator"]["weights_sha256"] == calculators._chgnet_weights()
        assert len(said["identity"]["calculator"]["weights_sha256"]) == 64
        assert set(said["identity"]["calculator"]["versions"]) == {"chgnet", "torch", "pymatgen", "numpy"}
        assert any("Deng" in citation for citation in said["citations"])
        assert any("soft" in caution for caution in said["cautions"])
        assert "fit alone, not the accuracy" in said["std_means"]
        assert "std_means" not in said["identity"]

    def test_it_is_silent(self, capfd: pytest.CaptureFixture[str]) -> None:
        calculators._load_chgnet.cache_clear()
        EquationOfState().run(proposal("Cu", structure=fcc()))
        assert capfd.readouterr().out == ""
