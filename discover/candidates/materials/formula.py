"""Chemical words in queries: element symbols, chemical systems and formulas with wild cards."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache

_TABLE = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo "
    "Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl "
    "Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
)
SYMBOLS = tuple(_TABLE.split())
ELEMENTS = frozenset(SYMBOLS)
SERVED = ELEMENTS | {"D", "T"}
"""Symbols that a service's rows may hold: the isotopes of hydrogen have their own."""
WILD = "*"

_TOKEN = re.compile(
    r"(?P<open>[(\[])|(?P<close>[)\]])(?P<times>\d*\.?\d*)|(?P<symbol>\*|[A-Z][a-z]?)(?P<count>\d*\.?\d*)"
)


@lru_cache(maxsize=65536)
def parse_formula(text: str) -> tuple[tuple[str, float], ...]:
    """Symbols and counts, in order of appearance, every `*` on its own. ValueError if the text is no formula."""
    stack: list[list[tuple[str, float]]] = [[]]
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"not a chemical formula: {text!r}")
        position = match.end()
        if match["open"]:
            stack.append([])
        elif match["close"]:
            if len(stack) == 1:
                raise ValueError(f"unbalanced brackets: {text!r}")
            inner = stack.pop()
            stack[-1] += [(symbol, count * float(match["times"] or 1)) for symbol, count in inner]
        else:
            stack[-1].append((match["symbol"], float(match["count"] or 1)))
    if len(stack) != 1 or not stack[0] or any(count <= 0 for _, count in stack[0]):
        raise ValueError(f"not a chemical formula: {text!r}")
    return _merged(stack[0])


def _merged(parts: list[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    totals: dict[str, float] = {}
    wild = [part for part in parts if part[0] == WILD]
    for symbol, count in parts:
        if symbol != WILD:
            totals[symbol] = totals.get(symbol, 0.0) + count
    return (*totals.items(), *wild)


def _reduced(parts: tuple[tuple[str, float], ...]) -> list[tuple[str, float]]:
    counts = [count for _, count in parts]
    if all(count == int(count) for count in counts):
        divisor = math.gcd(*(int(count) for count in counts))
        return [(symbol, count / divisor) for symbol, count in parts]
    return list(parts)


def formula_matches(pattern: str, formula: str) -> bool:
    """Whether a formula is the pattern's: `Fe2O3`, `*2O3` with any further elements, or anonymous such as `A2B3`.

    A pattern with any letter that is no element (`ABO3`: A) is anonymous as a whole, as the Materials Project reads it.
    """
    wanted, found = _reduced(parse_formula(pattern)), dict(_reduced(parse_formula(formula)))
    named = {symbol: count for symbol, count in wanted if symbol != WILD}
    if not ELEMENTS.issuperset(named):
        return Counter(count for _, count in wanted) == Counter(found.values())
    if len(wanted) != len(found) or any(found.get(symbol) != count for symbol, count in named.items()):
        return False
    rest = Counter(count for symbol, count in found.items() if symbol not in named)
    return rest == Counter(count for symbol, count in wanted if symbol == WILD)


def chemsys_matches(pattern: str, elements: frozenset[str]) -> bool:
    """Whether a set of elements is the system `Li-Fe-O`; each `*` in `Si-*` stands for one further element."""
    parts = pattern.split("-")
    return len(parts) == len(elements) and elements.issuperset(part for part in parts if part != WILD)
