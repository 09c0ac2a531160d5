"""The mean best-so-far curves, one small plot a pool."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from efficiency.gather import Block
from efficiency.peers import RANDOM

COLOURS = ("#0b5fa5", "#d1495b", "#2e933c", "#edae49", "#7b4fa3", "#5c6b73", "#8d5524", "#17a2a2")


def curves(block: Block, path: Path) -> Path:
    """Writes a PNG: experiments against the mean normalised best so far, a grey line for chance."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    count = len(block.scenes)
    across = min(4, count)
    down = math.ceil(count / across)
    figure, axes = pyplot.subplots(
        down, across, figsize=(3.6 * across, 2.7 * down), squeeze=False, constrained_layout=True
    )
    colour = {peer: COLOURS[k % len(COLOURS)] for k, peer in enumerate(p for p in block.titles if p != RANDOM)}
    for axis in axes.ravel()[count:]:
        axis.axis("off")
    for axis, (name, played) in zip(axes.ravel(), block.scenes.items(), strict=False):
        x = np.arange(1, played.pool.horizon + 1)
        for peer in played.worth:
            style = {"color": "#999999", "linestyle": "--"} if peer == RANDOM else {"color": colour[peer]}
            width = 2.2 if peer == block.reference else 1.2
            axis.plot(x, played.curves(peer).mean(axis=0), label=block.titles[peer], linewidth=width, **style)
        axis.set_title(f"{name} ({len(played.seeds)} seeds)", fontsize=9)
        axis.tick_params(labelsize=7)
        low = min(played.curves(peer).mean(axis=0)[len(played.pool.starts(0)) - 1] for peer in played.worth)
        axis.set_ylim(max(0.0, low - 0.05), 1.01)
    handles = {label: line for a in axes.ravel() for line, label in zip(*a.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    words = "one encoding" if block.encoding == "same" else "own encodings"
    figure.suptitle(f"Mean normalised best so far against experiments, q = {block.q}, {words}", fontsize=10)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path
