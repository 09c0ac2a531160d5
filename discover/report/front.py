"""The picture of a campaign for several targets: every experiment, the front that no other beats, and how its volume grew."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from discover.campaign.reading.fronts import Front
from discover.objective import Target
from discover.pareto import on_front
from discover.report.figure import ROLES, Picture, picture, styled
from discover.report.words import number


def pareto(campaign: Any) -> Picture:
    """The first two targets of every experiment that keeps the constraints; the front is drawn of all targets."""
    return draw_front(campaign.front())


def hypervolume_so_far(campaign: Any) -> Picture:
    """The hypervolume after each experiment, beyond one reference."""
    return draw_volume(campaign.front(), campaign.observations)


def draw_front(front: Front) -> Picture:
    """The picture of `pareto` from numbers already at hand."""
    first, second = front.objective.targets[:2]
    figure, axes = picture(5.6, 4.1, _front_words(front))
    axes.set_xlabel(_label(first))
    axes.set_ylabel(_label(second))
    if not len(front.rows):
        axes.text(0.5, 0.5, "nothing that keeps the constraints has been measured yet", ha="center", va="center",
                  transform=axes.transAxes, color=ROLES["muted"])  # fmt: skip
        return figure
    x, y = (front.rows[t.name].to_numpy(dtype=np.float64) for t in (first, second))
    with styled():
        axes.plot(x, y, "o", ms=3.6, mew=0, alpha=0.45, color=ROLES["campaign"], label="each experiment")
        axes.plot(
            x[front.member], y[front.member], "o", ms=6, mew=0, color=ROLES["baseline"], label="no other beats it"
        )
        if len(front.objective.targets) == 2 and "match" not in (first.direction, second.direction):
            _staircase(axes, front, x, y)
        axes.margins(0.09)
        figure.legend(loc="outside lower center", ncols=2, handlelength=1.8)
    return figure


def draw_volume(front: Front, observations: Any) -> Picture:
    """The picture of `hypervolume_so_far` from numbers already at hand."""
    places = list(observations.index)
    volumes = front.grown(places)
    figure, axes = picture(5.6, 3.2, _volume_words(front, volumes))
    axes.set_xlabel("results")
    axes.set_ylabel("hypervolume")
    with styled():
        axes.step(np.arange(1, len(places) + 1), volumes, where="post", lw=2.2, color=ROLES["campaign"])
        axes.set_xlim(0.5, max(len(places), 2) + 0.5)
        axes.set_ylim(bottom=0.0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7, steps=[1, 2, 5, 10]))
        axes.grid(axis="x", visible=False)
    return figure


def _staircase(axes: Axes, front: Front, x: np.ndarray, y: np.ndarray) -> None:
    """The edge of what the front dominates, of two targets."""
    flat = on_front(front.utilities)
    order = np.lexsort((y[flat], x[flat]))
    where: Literal["pre", "post"] = "post" if front.objective.targets[0].direction == "minimize" else "pre"
    axes.step(x[flat][order], y[flat][order], where=where, lw=1.2, color=ROLES["baseline"])


def _label(target: Target) -> str:
    name = target.name.replace("_", " ")
    return f"{name} [{target.unit}]" if target.unit else name


def _front_words(front: Front) -> str:
    names = " and ".join(t.name.replace("_", " ") for t in front.objective.targets[:2])
    if not len(front.rows):
        return f"Pareto front of {names}: nothing that keeps the constraints has been measured yet."
    return f"Pareto front of {names}: {int(front.member.sum())} of {len(front.rows)} measured are beaten by no other."


def _volume_words(front: Front, volumes: list[float]) -> str:
    if not len(front.rows):
        return "Hypervolume of the Pareto front: nothing that keeps the constraints has been measured yet."
    return f"Hypervolume of the Pareto front, {number(volumes[-1])} after {len(volumes)} results."


def front_words(front: Front) -> list[str]:
    """What the front comes to, in sentences."""
    if not len(front.rows):
        return ["Nothing that keeps the constraints has been measured yet."]
    units = {t.name: f" {t.unit}" if t.unit else "" for t in front.objective.targets}
    beyond = ", ".join(
        f"{name.replace('_', ' ')} {number(v)}{units[name]}" for name, v in front.reference_values().items()
    )
    return [
        f"{int(front.member.sum())} of {len(front.rows)} measured candidates that keep the constraints are beaten by no other in "
        f"all targets at once. They dominate a hypervolume of {number(front.hypervolume)} beyond the reference ({beyond})."
    ]
