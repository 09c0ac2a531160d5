"""What a backtest found out: curves, gains with intervals, and the verdict in words."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from discover.backtest.metrics import (
    Interval,
    Scale,
    acceleration,
    area,
    bootstrap,
    enhancement,
    first_crossing,
)
from discover.backtest.random_line import RandomLine
from discover.drafts import draft_of
from discover.objective import Objective
from discover.values import FloatArray

if TYPE_CHECKING:
    import pandas as pd

ENOUGH = 10
"""Seeds below which a bootstrap interval is too narrow to be believed."""
LEVELS = (0.25, 0.5, 0.75)
"""Shares of the top 5 % for which the acceleration over random choice is given."""


@dataclass(frozen=True)
class Run:
    """One policy with one seed. ids: candidates in the order of trial. best, normalised, top: [K], see `metrics`.

    seconds: what the policy's own thinking took, without the experiments.
    """

    policy: str
    seed: int
    ids: tuple[str, ...]
    best: FloatArray
    normalised: FloatArray
    top: FloatArray
    seconds: float

    @property
    def area(self) -> float:
        """Mean height of the normalised best-so-far curve."""
        return area(self.normalised)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; the normalised curve follows from `best` and the study's scale."""
        return {
            "policy": self.policy,
            "seed": self.seed,
            "area": self.area,
            "seconds": self.seconds,
            "ids": list(self.ids),
            "best": self.best.tolist(),
            "top": self.top.tolist(),
        }


@dataclass(frozen=True)
class Study:
    """What `run_study` found out; every number is derived from `runs` and the exact random line `chance`.

    best and chance are in the unit of the utility (the target's unit, turned so that larger is better); scale gives its
    normalisation. pool: size, number of values, hash. K experiments each, in batches of `batch`; `asked` is what was asked
    for, which may be more than the pool holds.
    """

    name: str
    objective: Objective
    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    budget: int
    batch: int
    pool: Mapping[str, Any]
    scale: Scale
    chance: RandomLine
    runs: tuple[Run, ...]
    versions: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def asked(self) -> int:
        """Experiments that were asked for."""
        return int(self.settings.get("budget_asked", self.budget))

    def of(self, policy: str) -> tuple[Run, ...]:
        """Runs of one policy, in the order of the seeds."""
        return tuple(run for run in self.runs if run.policy == policy)

    @property
    def random_area(self) -> float:
        """Exact expectation of the area under random choice."""
        return area(self.scale.normalised(self.chance.mean))

    def gain(self, policy: str, over: str | None = None) -> Interval:
        """Area of a policy minus random's exact expectation, or minus another policy's area with the same seed."""
        mine = np.array([run.area for run in self.of(policy)])
        theirs = self.random_area if over is None else np.array([run.area for run in self.of(over)])
        return bootstrap(mine - theirs)

    def summary(self) -> pd.DataFrame:
        """One row a policy: area, its gain over random with interval, Top%, EF, AF, time and the verdict."""
        import pandas as pd

        return pd.DataFrame([self._row(policy) for policy in self.policies]).set_index("policy")

    def curves(self) -> pd.DataFrame:
        """Long form: policy, seed, experiment, best, normalised, top.

        best: in the target's own unit; for a target to be matched, minus the distance from it.
        """
        import pandas as pd

        sign = -1.0 if self.objective.targets[0].direction == "minimize" else 1.0

        frames = [
            pd.DataFrame(
                {
                    "policy": run.policy,
                    "seed": run.seed,
                    "experiment": np.arange(1, len(run.best) + 1),
                    "best": sign * run.best,
                    "normalised": run.normalised,
                    "top": run.top,
                }
            )
            for run in self.runs
        ]
        return pd.concat(frames, ignore_index=True)

    def verdicts(self) -> list[str]:
        """A sentence a policy against random, and one for every pair of policies."""
        said = [f"{policy} is {_word(self.gain(policy), 'random choice')}" for policy in self.policies]
        for i, first in enumerate(self.policies):
            said += [
                f"{first} is {_word(self.gain(first, second), second)}"
                for second in self.policies[i + 1 :]
                if "random" not in (first, second)
            ]
        return said

    def _row(self, policy: str) -> dict[str, Any]:
        runs = self.of(policy)
        gain = self.gain(policy)
        found = np.mean([run.top for run in runs], axis=0)
        hit = [first_crossing(run.normalised, 1.0) for run in runs]
        size = int(self.pool["size"])
        line = np.arange(1, size + 1) / size
        row = {
            "policy": policy,
            "area": float(np.mean([run.area for run in runs])),
            "random_area": self.random_area,
            "gain": gain.mean,
            "gain_low": gain.low,
            "gain_high": gain.high,
            "final_best": float(np.mean([run.normalised[-1] for run in runs])),
            "found_best": float(np.mean(np.isfinite(hit))),
            "top": float(found[-1]),
            "enhancement": float(enhancement(found, size)[-1]),
        }
        row |= {f"acceleration_{round(100 * t)}": acceleration(found, line, t) for t in LEVELS}
        row["seconds"] = float(np.mean([run.seconds for run in runs]))
        row["verdict"] = _word(gain, "random choice")
        return row

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: everything, with the summary and the verdicts spelt out. `from_dict` reads it back."""
        gains = {policy: _plain(asdict(self.gain(policy))) for policy in self.policies}
        pairs = {
            f"{first} - {second}": _plain(asdict(self.gain(first, second)))
            for i, first in enumerate(self.policies)
            for second in self.policies[i + 1 :]
        }
        return {
            "format": 1,
            "name": self.name,
            "objective": self.objective.to_dict(),
            "policies": list(self.policies),
            "seeds": list(self.seeds),
            "budget": self.budget,
            "batch": self.batch,
            "pool": dict(self.pool),
            "versions": dict(self.versions),
            "settings": dict(self.settings),
            "verdicts": self.verdicts(),
            "random_area": self.random_area,
            "gain_over_random": gains,
            "gain_paired": pairs,
            "summary": {str(k): _plain(v) for k, v in self.summary().to_dict(orient="index").items()},
            "scale": asdict(self.scale),
            "chance": {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(self.chance).items()},
            "runs": [run.to_dict() for run in self.runs],
        }

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Study:
        """Inverse of `to_dict`; derived numbers are derived anew."""
        scale = Scale(**body["scale"])
        chance: dict[str, Any] = {k: np.asarray(v) if isinstance(v, list) else v for k, v in body["chance"].items()}
        runs = []
        for run in body["runs"]:
            best = np.asarray(run["best"], dtype=np.float64)
            top = np.asarray(run["top"], dtype=np.float64)
            ids = tuple(run["ids"])
            runs.append(Run(run["policy"], run["seed"], ids, best, scale.normalised(best), top, run["seconds"]))
        return cls(
            body["name"],
            Objective.from_dict(body["objective"]),
            tuple(body["policies"]),
            tuple(body["seeds"]),
            body["budget"],
            body["batch"],
            body["pool"],
            scale,
            RandomLine(**chance),
            tuple(runs),
            body["versions"],
            body["settings"],
        )

    def save(self, path: str | Path) -> Path:
        """Write as JSON, whole or not at all."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = draft_of(path)
        lines = [f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in self.to_dict().items()]
        draft.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
        draft.replace(path)
        return path

    @classmethod
    def read(cls, path: str | Path) -> Study:
        """Read what `save` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))

    def __repr__(self) -> str:
        more = f" ({self.asked:,} were asked for; the pool holds no more)" if self.asked > self.budget else ""
        head = (
            f"Study of {self.name or 'a table'}: {self.objective!r}, {self.pool['size']:,} candidates "
            f"({self.pool['values']:,} with a value), {_count(len(self.seeds), 'seed')}, "
            f"{_count(self.budget, 'experiment')} in batches of {self.batch}{more}"
        )
        return "\n".join([head, *(f"  {sentence}" for sentence in self.verdicts())])

    def _repr_html_(self) -> str:
        table = self.summary()[list(_SHOWN)].to_html(float_format=lambda value: f"{value:.3f}")
        return f"<pre>{html.escape(repr(self))}</pre>{table}"


_SHOWN = ("area", "gain", "gain_low", "gain_high", "found_best", "top", "enhancement", "seconds")


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' if n != 1 else ''}"


def _word(gain: Interval, other: str) -> str:
    said = f"area {gain.mean:+.3f}"
    if gain.n < ENOUGH:
        return (
            f"not to be compared with {other} on {_count(gain.n, 'seed')} ({said}; {ENOUGH} or more give an interval)"
        )
    verdict = {1: f"better than {other}", 0: f"no better than {other}", -1: f"worse than {other}"}[gain.sign]
    return f"{verdict} ({said}, {100 * gain.level:.0f} % interval {gain.low:+.3f} to {gain.high:+.3f}, {gain.n} seeds)"


def _plain(body: Mapping[Any, Any]) -> dict[str, Any]:
    """JSON knows neither NaN nor infinity; what is not known is null."""
    return {str(k): None if isinstance(v, float) and not np.isfinite(v) else v for k, v in body.items()}
