"""The fit gives back the curve it was given, and none where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.experiment.crystals.birch_murnaghan import GPA_PER_EV_PER_CUBIC_ANGSTROM, fit_birch_murnaghan


def curve(volumes: np.ndarray, energy: float, volume: float, modulus: float, derivative: float) -> np.ndarray:
    """The equation as Birch wrote it; modulus in GPa."""
    ratio = (volume / volumes) ** (2 / 3)
    size = 9 * volume * modulus / GPA_PER_EV_PER_CUBIC_ANGSTROM / 16
    return energy + size * ((ratio - 1) ** 3 * derivative + (ratio - 1) ** 2 * (6 - 4 * ratio))


@settings(max_examples=200, deadline=None)
@given(
    energy=st.floats(-1000, 10),
    volume=st.floats(5, 500),
    modulus=st.floats(1, 600),
    derivative=st.floats(2, 8),
    off_centre=st.floats(0.97, 1.03),
    count=st.integers(7, 15),
)
def test_an_exact_curve_is_found_exactly(
    energy: float, volume: float, modulus: float, derivative: float, off_centre: float, count: int
) -> None:
    volumes = volume * off_centre * np.linspace(0.98, 1.02, count) ** 3
    fit = fit_birch_murnaghan(volumes, curve(volumes, energy, volume, modulus, derivative))
    assert fit is not None
    noise = 1e-13 * abs(energy) / (volume * modulus / 160 * 1e-3)
    assert fit.volume == pytest.approx(volume, rel=1e-7 + noise)
    assert fit.modulus == pytest.approx(modulus, rel=1e-6 + 100 * noise)
    assert fit.derivative == pytest.approx(derivative, rel=1e-4, abs=1e-4 + 1e4 * noise)
    assert fit.energy == pytest.approx(energy, abs=1e-8)
    assert fit.residual < 1e-4


def test_it_agrees_with_another_implementation() -> None:
    eos = pytest.importorskip("ase.eos", reason="the extra 'atomistic' is not installed")
    volumes = 11.8 * np.linspace(0.98, 1.02, 9) ** 3
    energies = curve(volumes, -3.7, 11.7, 137, 4.8) + 1e-4 * np.sin(40 * volumes)
    fit = fit_birch_murnaghan(volumes, energies)
    volume, energy, modulus = eos.EquationOfState(volumes, energies, eos="birchmurnaghan").fit()
    assert fit is not None
    assert fit.volume == pytest.approx(volume, rel=1e-5)
    assert fit.energy == pytest.approx(energy, rel=1e-6)
    assert fit.modulus == pytest.approx(modulus * GPA_PER_EV_PER_CUBIC_ANGSTROM, rel=1e-3)


def test_curves_without_a_minimum_have_no_fit() -> None:
    volumes = 10 * np.linspace(0.98, 1.02, 9) ** 3
    assert fit_birch_murnaghan(volumes, volumes ** (-2 / 3)) is None
    assert fit_birch_murnaghan(volumes, np.zeros(9)) is None


def test_a_hill_has_no_minimum_among_its_volumes() -> None:
    volumes = 10 * np.linspace(0.98, 1.02, 9) ** 3
    fit = fit_birch_murnaghan(volumes, -curve(volumes, 0, 10, 100, 4.5))
    assert fit is None or not volumes[0] < fit.volume < volumes[-1]


def test_the_standard_deviation_is_that_of_repeated_noise() -> None:
    """Against the scatter of 400 fits to the same curve with fresh noise."""
    generator = np.random.default_rng(0)
    volumes = 10 * np.linspace(0.98, 1.02, 9) ** 3
    exact = curve(volumes, 0, 10, 150, 4.5)
    fits = [fit_birch_murnaghan(volumes, exact + generator.normal(scale=2e-5, size=9)) for _ in range(400)]
    moduli = np.array([fit.modulus for fit in fits if fit])
    told = np.array([fit.modulus_std for fit in fits if fit])
    assert len(moduli) == 400
    assert np.sqrt(np.mean(told**2)) == pytest.approx(moduli.std(), rel=0.15)
    assert abs(moduli.mean() - 150) < 3 * moduli.std() / 20
