"""Search spaces for tests: drawn by hypothesis, and the one that the documentation shows."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from discover import Binary, Categorical, Continuous, Discrete, Integer, Mixture, Ordering, SearchSpace, Substance
from discover.errors import InvalidInput

PPH3, PCY3 = "c1ccc(cc1)P(c1ccccc1)c1ccccc1", "C1CCC(CC1)P(C1CCCCC1)C1CCCCC1"


def arylation(**options: Any) -> SearchSpace:
    """The documentation's example."""
    return SearchSpace(
        [
            Continuous("temperature", 20, 120, step=1, unit="degC"),
            Categorical("base", ["KOH", "K3PO4"]),
            Substance("ligand", {"PPh3": PPH3, "PCy3": PCY3}),
            Mixture("solvent", ["water", "ethanol", "toluene"], step=0.05, at_most=2),
        ],
        constraints=["temperature <= 78 if solvent.ethanol > 0.5", "not (base == 'KOH' and ligand == 'PCy3')"],
        **({"batch_constraints": ["one temperature", "at most 4 ligand"]} | options),
    )


def every_kind(**options: Any) -> SearchSpace:
    """All kinds of parameters, equalities and conditions among them: too many points to list."""
    return SearchSpace(
        [
            Continuous("a", 0, 1, step=0.05),
            Continuous("b", 0, 1, step=0.05),
            Continuous("rate", 1e-3, 10, scale="log"),
            Continuous("width", 0.25, 3.75),
            Integer("n", 1, 9),
            Discrete("load", [0.5, 1, 2.5, 5]),
            Binary("air"),
            Categorical("acid", ["none", "HCl", "AcOH"]),
            Continuous("equivalents", 0.5, 3, step=0.1, when="acid != 'none'"),
            Mixture("solvent", ["w", "e", "t", "d"], step=0.1, at_most=3, bounds={"w": (0, 0.6)}),
            Ordering("order", ["A", "B", "C"]),
        ],
        constraints=["a + b == 1", "width >= 2 * a", "order.A < order.B", "load >= 1 if air", "n != 5"],
        **options,
    )


CONSTRAINTS = (
    *(
        "x + y <= 1.3",
        "x - y == 0.25",
        "x < 0.8 if flag",
        "not (flag and label == 'p')",
        "label in ['p', 'q'] or k > 2",
    ),
    *("at most 1 of x, y", "m.u <= 0.5 if label == 'q'", "2*x + 0.5*k <= 3", "0.2 <= y <= 0.9", "k == 2 or x >= 0.5"),
)


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """A small space with constraints that can be kept."""
    step = draw(st.sampled_from([0.05, 0.25, 0.125, None]))
    parts = draw(st.sampled_from([0.5, 0.25, 0.1]))
    parameters = [
        Continuous("x", 0, 1, step=0.05),
        Continuous("y", 0, 1, step=step),
        Integer("k", 0, 4),
        Binary("flag"),
        Categorical("label", ["p", "q", "r"]),
        Mixture("m", ["u", "v", "w"], step=parts, at_most=draw(st.sampled_from([None, 2]))),
    ]
    texts = draw(st.lists(st.sampled_from(CONSTRAINTS), max_size=3, unique=True))
    when = draw(st.booleans())
    if when:
        parameters.append(Discrete("extra", [1, 3, 10], scale="log", when="flag or k >= 3"))
    try:
        return SearchSpace(parameters, constraints=texts)
    except InvalidInput:
        return SearchSpace(parameters)


def exactly(value: float) -> Fraction:
    """A float as the decimal that it is written as."""
    return Fraction(repr(value))
