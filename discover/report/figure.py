"""Figures that stand alone in a notebook and take on the colours of the page in a report.

No pyplot: a figure here has no global state and opens no window. Colours have roles; in a page each role becomes a CSS
variable, so that one drawing serves light and dark.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROLES: Mapping[str, str] = {
    "ink": "#1f2a36",
    "muted": "#5f6d7b",
    "grid": "#dbe1e7",
    "campaign": "#0a6ba8",
    "chance": "#8593a1",
    "baseline": "#b8560f",
    "bad": "#b4313a",
}
"""Colour of each role in light mode; the page's style sheet holds those for dark mode under the same names."""

_STYLE: Any = {
    "font.family": ["sans-serif"],
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.labelsize": 9.5,
    "axes.labelcolor": ROLES["ink"],
    "axes.edgecolor": ROLES["muted"],
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": ROLES["grid"],
    "grid.linewidth": 0.7,
    "text.color": ROLES["ink"],
    "xtick.color": ROLES["muted"],
    "ytick.color": ROLES["muted"],
    "xtick.labelcolor": ROLES["ink"],
    "ytick.labelcolor": ROLES["ink"],
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "svg.hashsalt": "discover",
}


class Picture(Figure):
    """A matplotlib figure that a notebook shows by itself. `words` says in a sentence what is to be seen."""

    words: str = ""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with mpl.rc_context(_STYLE):
            self.savefig(buffer, format="png", dpi=160, facecolor="white")
        return buffer.getvalue()

    def svg(self, name: str) -> str:
        """As an `<svg>` element for a page: transparent, colours by role, ids beginning with `name`, `words` as its label."""
        buffer = io.StringIO()
        with mpl.rc_context(_STYLE):
            self.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        return _for_page(buffer.getvalue(), name, self.words)


def picture(width: float, height: float, words: str = "") -> tuple[Picture, Axes]:
    """An empty figure with one pair of axes; width and height in inches."""
    with mpl.rc_context(_STYLE):
        figure = Picture(figsize=(width, height), layout="constrained")
        figure.words = words
        axes = figure.add_subplot()
        axes.tick_params(length=3)
    return figure, axes


def styled() -> Any:
    """Context in which artists get the house's style; matplotlib's settings are as before afterwards."""
    return mpl.rc_context(_STYLE)


def _for_page(text: str, name: str, words: str) -> str:
    svg = text[text.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    for role, colour in ROLES.items():
        svg = re.sub(colour, f"var(--{role}, {colour})", svg, flags=re.I)
    # The width and height in points would fix its size; the view box alone lets it follow the page.
    svg = re.sub(r'(<svg\b[^>]*?)\s(?:width|height)="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg\b[^>]*?)\s(?:width|height)="[^"]*"', r"\1", svg, count=1)
    return svg.replace("<svg", f'<svg role="img" aria-label="{html.escape(words)}"', 1)
