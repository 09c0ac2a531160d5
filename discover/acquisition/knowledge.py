"""Knowledge gradient: by how much one more observation raises the best posterior mean, in closed form over listed places."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.acquisition.improvement import log_h
from discover.acquisition.lookahead import Known

if TYPE_CHECKING:
    from torch import Tensor

    from discover.values import FloatArray


@dataclass(frozen=True)
class KnowledgeGradient:
    """The expected rise of the largest posterior mean over candidates and reference, in the target's unit.

    What an observation tells moves every mean along a straight line; the expected maximum of straight lines of a normal
    number has a closed form. Frazier, Powell and Dayanik, INFORMS J. Comput. 21, 599 (2009).
    """

    words = "rise of the best mean that an observation promises"

    def __call__(self, known: Known, places: Tensor) -> Tensor:
        """Scores [k] of places [k]."""
        slopes = known.told(places)[0].numpy()
        means = known.mean.numpy()
        return torch.from_numpy(np.array([expected_rise(means, slope) for slope in slopes], dtype=np.float64))


def expected_rise(means: FloatArray, slopes: FloatArray) -> float:
    """E[max over i of means[i] + slopes[i]·Z] − max(means) for a standard normal Z; [r], [r] to a number of at least 0."""
    kept, crossings = envelope(means, slopes)
    if len(kept) < 2:
        return 0.0
    steps = np.log(np.diff(slopes[kept]))
    rises = log_h(torch.from_numpy(-np.abs(crossings))).numpy()
    return math.fsum(np.exp(steps + rises))


def envelope(means: FloatArray, slopes: FloatArray) -> tuple[list[int], FloatArray]:
    """Lines that are the largest somewhere, in ascending order of slope, and where each gives way to the next."""
    order = np.lexsort((means, slopes))
    last = np.r_[slopes[order][1:] > slopes[order][:-1], True]  # of equal slopes the highest line
    order = order[last]
    a, b = means[order].tolist(), slopes[order].tolist()
    kept: list[int] = []
    crossings: list[float] = []
    for line in range(len(order)):
        while kept:
            before = kept[-1]
            crossing = (a[before] - a[line]) / (b[line] - b[before])
            if crossings and crossing <= crossings[-1]:
                kept.pop()
                crossings.pop()
                continue
            crossings.append(crossing)
            break
        kept.append(line)
    return [int(order[line]) for line in kept], np.array(crossings)
