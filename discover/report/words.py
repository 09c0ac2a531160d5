"""The sentences of a report: what the numbers say, and what they do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from discover.objective import Objective, Target
from discover.report.beliefs import Beliefs
from discover.report.curves import Comparison, Path, in_unit

METHODS: Mapping[str, tuple[str, ...]] = {
    "bayesian": (
        "Ament et al., NeurIPS 2023, arXiv:2310.20708 (log expected improvement)",
        "Daulton, Balandat and Bakshy, NeurIPS 2021, arXiv:2105.08195 (hypervolume improvement under noise)",
        "Hvarfner, Hellsten and Nardi, ICML 2024, arXiv:2402.02229 (priors that scale with the number of features)",
        "Balandat et al., NeurIPS 2020, arXiv:1910.06403 (BoTorch)",
        "Gardner et al., NeurIPS 2018, arXiv:1809.11165 (GPyTorch)",
    ),
}
"""Papers of the policies' methods, by kind."""
ALWAYS = (
    "Liang et al., npj Comput. Mater. 7, 188 (2021), doi:10.1038/s41524-021-00656-9 (campaigns on known tables, and their metrics)",
)
"""Papers that every report cites."""
MATERIALS = ("Ong et al., Comput. Mater. Sci. 68, 314 (2013), doi:10.1016/j.commatsci.2012.10.028 (pymatgen)",)
"""Papers of what reads formulas and structures."""


def number(value: Any, digits: int = 4) -> str:
    """A number as a reader wants it: significant digits, thousands without an exponent, a dash for none."""
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "–"
    if isinstance(value, (int, np.integer)):
        return f"{int(value):,}"
    value = float(value)
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}" if abs(value) < 1e9 else f"{value:.{digits - 1}e}"
    return f"{value:#.{digits}g}"


def percent(share: float) -> str:
    """A share in percent: two digits, and an upper limit where it is tiny."""
    if share >= 0.1:
        return f"{100 * share:.0f} %"
    return f"{100 * share:.1g} %" if share >= 1e-4 else "below 0.01 %"


def plus_minus(value: Any, std: Any, digits: int = 3) -> str:
    """`312 ± 18`; the deviation decides how many decimals are worth showing."""
    if value is None or not np.isfinite(value):
        return "–"
    if std is None or not np.isfinite(std) or std <= 0:
        return number(value, digits)
    decimals = max(0, 1 - int(np.floor(np.log10(std))))
    return f"{value:,.{decimals}f} ± {std:,.{decimals}f}"


def plain_name(name: str) -> str:
    """A target's name for a reader."""
    return name.replace("_", " ")


def goal(objective: Objective) -> str:
    """The objective as a sentence: 'Maximise bulk modulus [GPa]'."""
    verbs = {"maximize": "maximise", "minimize": "minimise"}
    parts = []
    for t in objective.targets:
        verb = verbs.get(t.direction, "match")
        unit = f" [{t.unit}]" if t.unit else ""
        wanted = ""
        if t.direction == "match":
            wanted = f" to {number(t.value)}" if t.value is not None else f" to {list(t.band or ())}"
        parts.append(f"{verb} {plain_name(t.name)}{unit}{wanted}")
    limits = "".join(f", where {c.text}" for c in objective.constraints)
    whole = "; ".join(parts) + limits
    return whole[0].upper() + whole[1:]


def comparison_words(path: Path, comparison: Comparison) -> list[str]:
    """What the comparison says of this one campaign, and that it is one campaign."""
    target = path.target
    said = []
    final = float(in_unit(target, path.best[-1:])[0])
    found_all = "; no other candidate is better" if path.best[-1] >= comparison.scale.best else ""
    chance = in_unit(
        target, np.array([comparison.chance.mean[-1], comparison.chance.low[-1], comparison.chance.high[-1]])
    )
    low, high = sorted(chance[1:])
    reached = f"the best is {number(final)}{_unit(target)}" if np.isfinite(final) else "there is no value yet"
    said.append(
        f"After {len(path)} experiments {reached}{found_all}. Random choice would on average have reached "
        f"{number(float(chance[0]))}{_unit(target)} ({percent(comparison.chance.level)} of random campaigns: {number(float(low))} to "
        f"{number(float(high))}{_unit(target)}). The chance that random choice does at least as well is {percent(comparison.odds)}."
    )
    areas = comparison.area
    rule = float(in_unit(target, comparison.baseline[-1:])[0])
    said.append(
        f"The area under the normalised curve (0: the worst of all candidates throughout, 1: the best from the first experiment) is "
        f"{areas['campaign']:.3f}, against {areas['random']:.3f} expected of random choice and {areas['baseline']:.3f} of the best "
        f"single feature, which reached {number(rule)}{_unit(target)} and ended with {comparison.feature}."
    )
    if areas["campaign"] <= areas["baseline"]:
        said.append("By this area the campaign was no better than sorting by one feature.")
    if areas["campaign"] <= areas["random"]:
        said.append("By this area the campaign was no better than random choice.")
    said.append(
        "This is one campaign with one seed; whether a policy is better in general takes many (discover backtest)."
    )
    return said


def belief_words(known: Beliefs) -> list[str]:
    """What parity and calibration say, with their bias named."""
    if not len(known):
        return ["No prediction has been tested yet: the experiments so far were chosen before there was a model."]
    n = known.numbers()
    unit = f" {known.unit}" if known.unit else ""
    tends = "too low" if n["bias"] > 0 else "too high"
    rank = "" if np.isnan(n["spearman"]) else f", rank correlation {n['spearman']:.2f}"
    said = [
        f"{len(known)} predictions were made before their experiments: mean absolute error {number(n['mae'], 3)}{unit}{rank}; "
        f"on average {number(abs(n['bias']), 3)}{unit} {tends}.",
        f"{percent(n['coverage90'])} of the found values lie inside their 90 % interval. The intervals are those of the noiseless target, "
        "and the candidates were chosen because they were predicted to be good, so this judges the model where the policy used "
        "it, not everywhere.",
    ]
    if len(known) < 20:
        said.append(f"With {len(known)} values this is a hint, not a measurement.")
    return said


def citations(*sources: Any) -> list[str]:
    """Every citation found under `citation` or `citations` in nested mappings, each once, in order."""
    found: list[str] = []

    def walk(body: Any) -> None:
        if isinstance(body, Mapping):
            for key, value in body.items():
                if key in ("citation", "citations"):
                    found.extend([value] if isinstance(value, str) else [str(v) for v in value])
                else:
                    walk(value)
        elif isinstance(body, Sequence) and not isinstance(body, str):
            for value in body:
                walk(value)

    for source in sources:
        walk(source)
    return list(dict.fromkeys(found))


def _unit(target: Target) -> str:
    return f" {target.unit}" if target.unit else ""
