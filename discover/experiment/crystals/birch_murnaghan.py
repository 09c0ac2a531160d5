"""The third-order Birch–Murnaghan equation of state, fitted exactly.

In u = V^(-2/3) the equation is a cubic polynomial, so that its least-squares fit is linear: there is no starting guess and
no iteration that might stop early. A cubic has at most one minimum; where it has none, there is no equilibrium volume.
F. Birch, Phys. Rev. 71, 809 (1947).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from discover.values import FloatArray

GPA_PER_EV_PER_CUBIC_ANGSTROM = 160.21766208


@dataclass(frozen=True)
class EquationOfStateFit:
    """A fitted curve.

    energy: eV, at the equilibrium `volume` (Å³). modulus: GPa, there. modulus_std: GPa, from the fit's covariance.
    derivative: of the modulus by pressure. rms: eV, root mean square of the residuals. depth: eV, largest minus
    smallest energy of the points.
    """

    energy: float
    volume: float
    modulus: float
    modulus_std: float
    derivative: float
    rms: float
    depth: float

    @property
    def residual(self) -> float:
        """`rms` as a share of `depth`: how much of the curve the equation does not explain."""
        return self.rms / self.depth if self.depth > 0 else float("inf")


def fit_birch_murnaghan(volumes: FloatArray, energies: FloatArray) -> EquationOfStateFit | None:
    """Fit n >= 5 points: volumes [n] in Å³, energies [n] in eV. None where the curve has no minimum."""
    strain = volumes ** (-2 / 3)
    centre, scale = float(strain.mean()), float(strain.std())
    design = np.vander((strain - centre) / scale, 4, increasing=True)
    offset = float(energies.mean())
    coefficients = np.asarray(np.linalg.lstsq(design, energies - offset, rcond=None)[0], dtype=np.float64)
    found = _minimum(coefficients, centre, scale)
    if found is None:
        return None
    energy, volume, modulus, derivative = found
    residuals = energies - offset - design @ coefficients
    covariance = np.linalg.inv(design.T @ design) * float(residuals @ residuals) / (len(volumes) - 4)
    return EquationOfStateFit(
        energy=energy + offset,
        volume=volume,
        modulus=modulus,
        modulus_std=_modulus_std(coefficients, covariance, centre, scale),
        derivative=derivative,
        rms=float(np.sqrt(np.mean(residuals**2))),
        depth=float(np.ptp(energies)),
    )


def _minimum(coefficients: FloatArray, centre: float, scale: float) -> tuple[float, float, float, float] | None:
    """Energy, volume, modulus and its derivative at the minimum of the cubic in z = (u - centre) / scale.

    With t = u/u0 - 1 the equation reads E0 + A t² + C t³, where A = 9/8 V0 B0 and C/A = (B0' - 4)/2.
    """
    a0, a1, a2, a3 = (float(c) for c in coefficients)
    discriminant = a2 * a2 - 3 * a1 * a3
    if discriminant <= 0 or (a2 <= 0 and a3 == 0):
        return None
    root = np.sqrt(discriminant)
    # The zero of the slope where the curvature, 2·root, is positive; the two forms are equal, each exact on its side.
    z = -a1 / (a2 + root) if a2 > 0 else (root - a2) / (3 * a3)
    u = centre + scale * z
    if not u > 0:
        return None
    volume = float(u**-1.5)
    quadratic, cubic = float(root) * (u / scale) ** 2, a3 * (u / scale) ** 3
    modulus = 8 * quadratic / (9 * volume) * GPA_PER_EV_PER_CUBIC_ANGSTROM
    energy = a0 + z * (a1 + z * (a2 + z * a3))
    return float(energy), volume, float(modulus), float(4 + 2 * cubic / quadratic)


def _modulus_std(coefficients: FloatArray, covariance: FloatArray, centre: float, scale: float) -> float:
    """Standard deviation of the modulus, by its central differences along each coefficient."""
    slopes = np.zeros(4)
    for i, coefficient in enumerate(coefficients):
        step = 1e-6 * max(abs(float(coefficient)), float(np.abs(coefficients[2])) * 1e-3)
        moved = []
        for sign in (1, -1):
            shifted = coefficients.copy()
            shifted[i] += sign * step
            found = _minimum(shifted, centre, scale)
            if found is None:
                return float("inf")
            moved.append(found[2])
        slopes[i] = (moved[0] - moved[1]) / (2 * step)
    return float(np.sqrt(max(float(slopes @ covariance @ slopes), 0.0)))
