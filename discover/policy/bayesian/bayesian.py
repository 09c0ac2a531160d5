"""The Bayesian policy: believe, score the whole pool, choose a batch that has most to gain together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from discover.errors import InvalidInput, Problem
from discover.kinds import typed
from discover.objective import Objective
from discover.policy.bayesian.acquisitions import check_costs, check_objective, option_problems
from discover.policy.bayesian.options import Options, usable_observations
from discover.policy.choice import checked_count, free_rows, nothing_left, rows_of, shortage, with_chosen
from discover.policy.costs import with_learned_costs
from discover.policy.random import Random
from discover.policy.ranges import CHUNK, DRAWS, TOGETHER, Ends, draws_problems, range_problems
from discover.policy.space_filling import SpaceFilling
from discover.protocols import View
from discover.values import Batch, FloatArray, Proposal

if TYPE_CHECKING:
    from discover.surrogate.belief import Belief

ENDS: Mapping[str, Ends] = {
    "start": (1, None),
    "shortlist": (1, TOGETHER),
    "draws": (2, DRAWS),
    "chunk": (1, CHUNK),
    "top": (1, None),
    "horizon": (1, None),
}


@dataclass(frozen=True)
@typed
class Bayesian(Options):
    """Space-filling until `start` candidates have been observed in every target, then expected improvement.

    A Gaussian process is fitted to each target: kernel; one length-scale for all features, or one for `each`. With model
    `evidence` a few of them that suit the features are fitted (one length-scale, one a feature, one a block; linear and
    smooth; a sum over features; bent features; numbers times categories), and mixed by how well they predict what they have
    not seen. With `auto` so it is where at most ten numbers, and nothing else, describe a candidate, unless kernel or lengths
    ask for one model. Where columns are told in several ways, by names, descriptors or fingerprints, `auto` fits one kernel
    over each of these encodings, and over all of them side by side, and mixes them alike. Elsewhere a single model did as well
    in open tables at half of the cost; `single` takes one encoding of a column, its descriptors. Log expected improvement ranks
    the whole pool, `chunk` rows at a time; the best `shortlist` of it enter a joint batch, chosen by sequential greedy qLogEI
    from `draws` joint draws, in which pending experiments count with all that they may bring. Directions and constraints: see
    `discover.acquisition.pool.score`. Of these numbers those are refused that no memory would hold: a short list beyond 10,000,
    65,536 draws or rows, 67 million numbers in the draws of a short list, and batches beyond 5,000.

    filling: how the start is spread, see `SpaceFilling`; or `random`. Where a few numbers describe a candidate, `farthest`
    mostly began better than chance in open tables; among compounds, which many features describe, the farthest are oddities, and
    chance was better.

    Several targets: what a candidate is expected to add to the hypervolume of the Pareto front, by qLogNEHVI (acquisition
    hypervolume, which expected-improvement means then). It counts above `reference_point`, the least that is of interest, as
    values by target in their units; where none is given it lies a tenth of the front's range below the front. Or by parego:
    the expected improvement of targets weighted anew for each batch.

    acquisition: what is wanted of a candidate, where it is not the expected improvement. To find the best: its upper
    confidence limit with `beta` variances, its probability of improvement, what it tells about the maximum, to be the best in
    one function drawn from the belief (thompson), or the rise of the best mean that its observation promises
    (knowledge-gradient). To find the `top` best: its expected improvement over the last of them (top). To learn the whole:
    to be uncertain, or to take most variance from a `reference` of so many candidates, or of a share of them, at most 4,000
    (integrated-variance). To learn a level: to be in doubt on which side of `threshold` it lies (straddle). To find all hits,
    which reach the threshold or lie in the objective's band: to be one (hits), or the number of hits that are expected
    with it within the experiments that the budget leaves, or within `horizon` without one (hits-ahead). The latter looks
    around first and takes the likely hits last; in open tables it found as many in the end as hits, and most of them later, so
    take it only where nothing but the end counts. All of these need one target; a batch is chosen one after the other, as if
    the earlier ones had been observed at their means. In a space, where another point like one that is chosen can always be had,
    probability-of-improvement, top and hits count of a batch only the best: each point is chosen by what it adds to that, such as
    the probability that it is a hit and the earlier ones are none. Constraints weigh them by the probability that they are kept; only
    hits-ahead takes none.

    scale, outliers, noise: how observations are read. On the scale that they were told on, or (evidence) on the one of that,
    a logarithm, a Yeo–Johnson power or normal scores on which they predict each other best. Observations that others
    contradict are left out and named (evidence), or kept (keep); those among the best are never left out but by their own
    replicates. Those without a stated deviation are equally noisy, or (evidence) as their replicates say or growing with the
    value. Censored observations enter as limits.

    at: the fidelity and the context that predictions are for, such as {fidelity: high}, where observations differ in them;
    without it those under which most observations of a target were made.

    incumbent: from where improvements are counted: the best `measured` value, or the best that is `believed`, in the same
    joint draws as the candidates (qLogNEI). Where observations have stated deviations or limits, and with several targets or
    constraints, it is always the latter.

    per_cost: whether scores are divided by what candidates cost, where the campaign knows that or learns it.

    feasibility: whether scores are weighed by the probability that an experiment gives a number at all, learned from those
    that failed once there are three of either sort, and used where it predicts failures better than their share (learned;
    hits-ahead does not), or not (none). A record says in words where experiments fail.

    refit: by which share the observations must have grown before hyperparameters are fitted again; 0 fits them at every
    iteration. Until then no fit is paid for, scale and gross errors stay as they were read, and of a large pool only what the
    new observations may have lifted is looked at: with a million candidates and hundreds of observations 0.1 is a good choice.
    """

    def __post_init__(self) -> None:
        problems = [*range_problems(self, ENDS), *draws_problems(self.draws, self.shortlist)]
        if self.model == "evidence" and self.asks_for_one:
            hint = "leave out kernel and lengths, or write model: single"
            problems.append(
                Problem("decides on kernel and lengths itself", column="model", value=self.model, way_out=hint)
            )
        if not 0.0 <= self.refit <= 1.0:
            problems.append(Problem("must be a share between 0 and 1", column="refit", value=self.refit))
        problems += option_problems(self)
        if problems:
            raise InvalidInput("policy 'bayesian'", problems)

    def check(self, objective: Objective) -> None:
        """Raise Unsupported for an objective that this policy cannot pursue."""
        check_objective(self, objective)

    def check_costs(self) -> None:
        """Raise Unsupported where candidates have costs that the scores cannot be divided by."""
        check_costs(self)

    def propose(self, view: View, n: int, generator: np.random.Generator, *, held: Belief | None = None) -> Batch:
        """At most n different free candidates, deterministic in (view, n, generator).

        held: what this policy believes of the view's observations, where that was fitted before.
        """
        n, (view, costs) = checked_count(n), with_learned_costs(self._at(view))
        if view.limits.costs is not None:
            self.check_costs()
        batch = self._batch(view, n, generator, held)
        return replace(batch, learned={**batch.learned, **costs}) if costs else batch

    def _batch(self, view: View, n: int, generator: np.random.Generator, held: Belief | None) -> Batch:
        """A batch of a view in which all that can be known of costs and conditions is told."""
        from discover.policy.bayesian.batch import propose

        if not len(free_rows(view)):
            return nothing_left(view, n)
        filled = self.filled(view, n)
        start = self._start(view, filled, generator) if filled else Batch(())
        if filled >= n:
            return Batch(start.proposals, start.learned, shortage(view, n, start.proposals))
        rest = blocked_too(view, start)
        if not len(free_rows(rest)):
            return Batch(start.proposals, start.learned, shortage(view, n, start.proposals))
        batch = propose(self, rest, n - len(start), generator, held)
        proposals = (*start.proposals, *batch.proposals)
        return Batch(proposals, batch.learned, shortage(view, n, proposals))

    def believe(self, view: View) -> Belief:
        """What this policy believes of a view's observations, by the model that it chooses by."""
        from discover.surrogate.belief import belief

        return belief(self._at(view), self.surrogate(view), reader=self.reader(), judge=False)

    def predict(self, view: View, X: FloatArray) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Mean [m] and standard deviation [m] of every target at raw features X [m, d], in its unit."""
        from discover.surrogate.predict import predict

        return predict(self._at(view), X, self.surrogate(view), self.reader())

    def _at(self, view: View) -> View:
        """The view, with the conditions that predictions are for."""
        return replace(view, at=self.at) if self.at else view

    def _start(self, view: View, n: int, generator: np.random.Generator) -> Batch:
        """The space-filling share of a batch, signed by this policy."""
        usable = usable_observations(view)
        starter = Random() if self.filling == "random" else SpaceFilling(self.filling)
        batch = starter.propose(view, n, generator)
        known = f"; {usable} of the {self.start} observations that the first model waits for"
        proposals = tuple(
            Proposal(
                p.candidate_id,
                "bayesian",
                p.reason + known,
                probability=p.probability,
                details={**p.details, "phase": "start"},
            )
            for p in batch.proposals
        )
        learned = {
            "policy": "bayesian",
            "phase": "start",
            "usable_observations": usable,
            "verdict": f"no model yet: {usable} of {self.start} observations",
        }
        return Batch(proposals, learned)


def blocked_too(view: View, batch: Batch) -> View:
    """The view as it will be once a batch is pending."""
    return with_chosen(view, rows_of(view, batch))
