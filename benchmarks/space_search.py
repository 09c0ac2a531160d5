"""How good is the search in a space? Held against every point, against BoTorch's searches, and against chance.

    OMP_NUM_THREADS=2 python benchmarks/space_search.py --seeds 5
    python benchmarks/space_search.py --cases reagents numbers --seeds 2 --without botorch-mixed

A campaign over each space is late in its course: half of what was measured was drawn, half is the best of many. One Gaussian
process (or the mixture that `model: auto` makes) is fitted; all searches are for the point of largest log expected improvement
under that belief, asked through one function, which counts. Told is by how many nats the found point falls short of the best of
all points that are free: 0.1 nat is a tenth of the expected improvement. Chance scores as many points as ours did.

Then a batch is chosen: as the policy does in a space, and as it does from the list of all points. Told is what they promise
together (the expected improvement of the best of them, by joint draws), as a share of the latter where that promises anything,
and the seconds from the
observations to the batch, the fit included. Seconds are of the processor; by_clock says what it took on the machine as it was.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from space_search_cases import Case, cases, measured

from discover.acquisition.space_search import Score
from discover.campaign.asking.asking import environment
from discover.policy import in_space
from discover.policy.bayesian import Bayesian
from discover.policy.bayesian.believing import belief_of
from discover.policy.bayesian.search_scores import acquired
from discover.policy.bayesian.searching import searched
from discover.protocols import View
from discover.surrogate.gaussian.threads import one_thread
from discover.values import Batch, FloatArray, IntArray

OUT = Path(__file__).resolve().parent / "results" / "space-search.json"
LISTED = 200_000
"""Points up to which a batch is chosen from the list of all of them, too."""
PART, DRAWS, WELLS = 16_384, 4_096, 24
SEARCHES = ("ours", "chance", "botorch-mixed", "botorch-local")


@dataclass
class Asked:
    """The acquisition function of codes [m, slots], which counts what it is asked."""

    policy: Bayesian
    view: View
    score: Score
    count: int = 0

    @classmethod
    def of(cls, policy: Bayesian, view: View) -> Asked:
        """Under the policy's belief of a view."""
        with one_thread():
            return cls(policy, view, acquired(policy, view, belief_of(policy, view), np.random.default_rng(0)))

    def __call__(self, codes: IntArray) -> FloatArray:
        assert self.view.ground is not None
        self.count += len(codes)
        region = self.view.ground.region
        parts = [region.encode(codes[start : start + PART]) for start in range(0, len(codes), PART)]
        with one_thread():
            return np.concatenate([self.score(part, part[:0]) for part in parts])

    def free(self, codes: IntArray) -> IntArray:
        """Those that were not measured."""
        assert self.view.ground is not None
        known = {row.tobytes() for row in self.view.ground.codes}
        return codes[[row.tobytes() not in known for row in codes]]


def ours(case: Case, asked: Asked, seed: int) -> float:
    """The best that the policy's search offers for a batch of one. Its own fit is in the seconds."""
    offer = searched(asked.policy, asked.view, 1, np.random.default_rng(seed))
    best = float(asked(offer.codes).max())
    asked.count = int(offer.how["searched"])
    return best


def chance(case: Case, asked: Asked, seed: int, n: int) -> float:
    """The best of n points that are drawn evenly."""
    assert asked.view.ground is not None
    return float(asked(asked.free(asked.view.ground.region.draw(n, np.random.default_rng(seed)))).max())


def botorch_mixed(case: Case, asked: Asked, seed: int) -> float:
    """BoTorch's alternating search with its own settings, over the codes as discrete and categorical dimensions."""
    from botorch.optim.optimize_mixed import optimize_acqf_mixed_alternating

    slots = case.space.slots
    levels = {k: [float(code) for code in range(slot.top + 1)] for k, slot in enumerate(slots)}
    names = {k for k, slot in enumerate(slots) if slot.kind == "label"}
    torch.manual_seed(seed)
    found, _ = optimize_acqf_mixed_alternating(
        _Function(asked),
        bounds=torch.tensor([[0.0] * len(slots), [float(slot.top) for slot in slots]], dtype=torch.float64),
        discrete_dims={k: values for k, values in levels.items() if k not in names},
        cat_dims={k: values for k, values in levels.items() if k in names},
        options={"max_discrete_values": 1000, "initialization_strategy": "random"},
    )
    return float(asked(found.numpy().round().astype(np.int64)).max())


def botorch_local(case: Case, asked: Asked, seed: int) -> float:
    """BoTorch's local search over a product of choices, with its own settings."""
    from botorch.optim.optimize import optimize_acqf_discrete_local_search

    choices = [torch.arange(slot.top + 1, dtype=torch.float64) for slot in case.space.slots]
    torch.manual_seed(seed)
    found, _ = optimize_acqf_discrete_local_search(_Function(asked), discrete_choices=choices, q=1)
    return float(asked(found.numpy().round().astype(np.int64)).max())


def _Function(asked: Asked) -> Any:
    from botorch.acquisition.acquisition import AcquisitionFunction

    class Function(AcquisitionFunction):
        """Of codes [..., 1, slots]; what was measured is as bad as can be."""

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            codes = X.reshape(-1, X.shape[-1]).detach().numpy().round().astype(np.int64)
            assert asked.view.ground is not None
            known = {row.tobytes() for row in asked.view.ground.codes}
            values = asked(codes)
            values[[row.tobytes() in known for row in codes]] = -1e6
            return torch.from_numpy(values).reshape(X.shape[:-2])

    return Function(model=None)


def one_point(policy: Bayesian, case: Case, seed: int, without: tuple[str, ...]) -> dict[str, Any]:
    """What every search finds in one campaign: nats short of the best of all points, points scored, seconds."""
    view = measured(case, seed)
    asked = Asked.of(policy, view)
    every = asked.free(case.points())
    best = float(asked(every).max())
    told: dict[str, Any] = {"points": len(every)}
    searches: Mapping[str, Callable[[], float]] = {
        "ours": lambda: ours(case, asked, seed),
        "chance": lambda: chance(case, asked, seed, told["ours"]["scored"]),
        "botorch-mixed": lambda: botorch_mixed(case, asked, seed),
        "botorch-local": lambda: botorch_local(case, asked, seed),
    }
    for name, search in searches.items():
        if name in without or (name.startswith("botorch") and not case.plain):
            continue
        asked.count, begun = 0, time.process_time()
        found = search()
        seconds = time.process_time() - begun
        told[name] = {"short": max(0.0, best - found), "scored": asked.count, "seconds": round(seconds, 2)}
    return told


def one_batch(policy: Bayesian, case: Case, seed: int, n: int) -> dict[str, Any]:
    """Seconds to a batch in the space, and what it promises as a share of one chosen from the list of all points."""
    view = measured(case, seed)
    begun, processor = time.perf_counter(), time.process_time()
    batch = in_space.propose(policy, view, n, np.random.default_rng(seed))
    seconds, by_clock = time.process_time() - processor, time.perf_counter() - begun
    told: dict[str, Any] = {"seconds": round(seconds, 2), "by_clock": round(by_clock, 2), "wells": len(batch)}
    every = case.points()
    if len(every) > LISTED:
        return told
    whole, _ = in_space.grown(view, every)
    listed = policy.propose(replace(whole, ground=None), n, np.random.default_rng(seed))
    most = _in_list(policy, whole, view, listed)
    return told | ({"share": round(_in_space(policy, view, batch) / most, 4)} if most > 0 else {})


def _in_space(policy: Bayesian, view: View, batch: Batch) -> float:
    assert view.ground is not None
    space = view.ground.region.space
    found = [space.codes_of(p.candidate.values) for p in batch if p.candidate is not None]
    return _promise(policy, view, space.encode(space.numbers(np.array(found))))


def _in_list(policy: Bayesian, whole: View, view: View, batch: Batch) -> float:
    rows = [int(np.flatnonzero(whole.ids == p.candidate_id)[0]) for p in batch]
    return _promise(policy, view, whole.features.values[rows])


def _promise(policy: Bayesian, view: View, features: FloatArray) -> float:
    """The expected improvement of the best of some points [n, d] over the best that was measured, by joint draws."""
    held = belief_of(policy, view)
    (name,) = view.objective.names
    normal = torch.from_numpy(np.random.default_rng(0).standard_normal((DRAWS, len(features))))
    with one_thread():
        drawn = held.posteriors[name].draw(held.scaled(features), normal).amax(dim=1)
    return float((drawn - view.training[name].values.max()).clamp_min(0.0).mean())


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Over the seeds of a case: medians, the worst, and how often the very best was found."""
    told: dict[str, Any] = {"seeds": len(runs), "points": runs[0]["points"]}
    for name in SEARCHES:
        found = [run[name] for run in runs if name in run]
        if found:
            short = np.array([one["short"] for one in found])
            told[name] = {
                "median_short": round(float(np.median(short)), 4),
                "worst_short": round(float(short.max()), 4),
                "best_found": f"{int((short < 1e-6).sum())} of {len(found)}",
                "scored": int(np.median([one["scored"] for one in found])),
                "seconds": round(float(np.median([one["seconds"] for one in found])), 2),
            }
    batches = [run["batch"] for run in runs]
    told["batch"] = {
        "wells": batches[0]["wells"],
        "seconds": [one["seconds"] for one in batches],
        "by_clock": [one["by_clock"] for one in batches],
        "share": [one["share"] for one in batches if "share" in one],
    }
    return told


def main() -> None:
    """Play the seeds of every case, and write what was seen."""
    known = cases()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(known), choices=list(known))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--model", default="auto", choices=("auto", "single", "evidence"))
    parser.add_argument("--without", nargs="*", default=[], choices=SEARCHES[1:])
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    policy = Bayesian(model=given.model)
    body: dict[str, Any] = {"model": given.model, "machine": environment(), "cores": os.cpu_count(), "cases": {}}
    for name in given.cases:
        runs = []
        for seed in range(given.seeds):
            told = one_point(policy, known[name], seed, tuple(given.without))
            runs.append({**told, "batch": one_batch(policy, known[name], seed, WELLS)})
            body["cases"][name] = summary(runs)
            given.out.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
        print(name, json.dumps(body["cases"][name], indent=1))


if __name__ == "__main__":
    main()
