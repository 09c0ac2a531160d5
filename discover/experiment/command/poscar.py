"""A crystal structure as the text that most calculation programs read."""

from __future__ import annotations

import json
from itertools import groupby


def poscar(text: str, title: str) -> str | None:
    """POSCAR (VASP 5, fractional coordinates) of a structure's canonical text; None where a site is disordered.

    Sites are grouped by element in the order in which elements first appear. title: one line, whatever it holds.
    """
    body = json.loads(text)
    sites = body["sites"]
    if any(len(site["species"]) != 1 or abs(site["species"][0]["occu"] - 1) > 1e-8 for site in sites):
        return None
    elements = [str(site["species"][0]["element"]) for site in sites]
    first = {element: place for place, element in reversed(list(enumerate(elements)))}
    order = sorted(range(len(sites)), key=lambda place: (first[elements[place]], place))
    counts = [(element, len(list(group))) for element, group in groupby(elements[place] for place in order)]
    lines = ["".join(c if c.isprintable() else " " for c in title)[:80], "1.0"]
    lines += [" ".join(f"{x:.10f}" for x in row) for row in body["lattice"]["matrix"]]
    lines += [" ".join(element for element, _ in counts), " ".join(str(count) for _, count in counts), "Direct"]
    lines += [" ".join(f"{x:.10f}" for x in sites[place]["abc"]) for place in order]
    return "\n".join(lines) + "\n"
