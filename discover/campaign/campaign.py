"""The campaign: ask, tell, status. It holds no truth of its own; every answer is folded from the store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from discover.campaign.asking.choosing import choose, choose_by_hand, known_ids, warn_of_excess, warn_of_shortage
from discover.campaign.asking.limiting import check_costs, check_limits
from discover.campaign.creating import begin, check_seed, redefine, source_of
from discover.campaign.experiments import collecting
from discover.campaign.experiments.claims import Claims
from discover.campaign.experiments.collecting import Collected
from discover.campaign.experiments.running import Watch, check_experiment, run_pending, warn_of_failures
from discover.campaign.pool.extending import as_pool, columns_of_experiment, extend
from discover.campaign.pool.places import Where
from discover.campaign.reading import tables
from discover.campaign.reading.reader import Reader
from discover.campaign.settings import (
    check_budget,
    check_count,
    check_names,
    check_reason,
    check_stop,
    definition_of,
    refuse,
    resolve_policy,
)
from discover.campaign.telling import transitions
from discover.campaign.telling.told_frame import tell_frame
from discover.campaign.terms import Terms
from discover.candidates.pool.pool import CandidatePool
from discover.candidates.snapshots.difference import Difference
from discover.candidates.snapshots.snapshot import Snapshot
from discover.candidates.space import SearchSpace
from discover.candidates.space.points import Points
from discover.errors import CampaignExists, DiscoverError, InvalidInput, Problem, Unsupported
from discover.objective import Objective
from discover.policy.named import check_named
from discover.protocols import Experiment, OutsideExperiment, Policy
from discover.store.leases.heartbeat import held
from discover.store.leases.leases import SECONDS
from discover.store.ledger.trials import Iteration
from discover.store.log.events import Draft
from discover.store.log.log import EventLog
from discover.values import Progress

if TYPE_CHECKING:
    from discover.store.leases.leases import Lease

DEFAULT_STORE = "sqlite:///campaigns.db"


class Campaign(Reader):
    """A question pursued over many iterations: objective, candidates, policy, and what was found out.

    Example::

        campaign = Campaign.create("solvents", objective=Objective("yield", "maximize", unit="%"), candidates=pool)
        batch = campaign.ask(5)
        campaign.tell(batch.assign(**{"yield": [12.0, 55.1, 31.9, 8.4, 47.0]}))
        campaign.best(3)
    """

    @classmethod
    def create(
        cls,
        name: str,
        *,
        objective: Objective,
        candidates: CandidatePool | SearchSpace,
        policy: str | Mapping[str, Any] | Policy = "bayesian",
        store: str | EventLog = DEFAULT_STORE,
        seed: int = 0,
        if_exists: Literal["error", "open"] = "error",
        budget: Mapping[str, Any] | None = None,
        experiment: Mapping[str, Any] | None = None,
        source: Mapping[str, Any] | None = None,
        features: Any = None,
        title: str = "",
        about: str = "",
        stop: Sequence[Mapping[str, Any]] = (),
        accept_changes: bool = False,
        snapshots: Where | None = None,
        progress: Progress | None = None,
    ) -> Campaign:
        """Begin a campaign, or with if_exists="open" go on with the one of that name.

        policy: a kind, a kind with its options, or a `Policy`. budget: {"experiments": 60}, {"cost": 500.0} or both. stop: rules for
        unattended runs, such as {"kind": "no-improvement", "experiments": 30}. experiment, source, features:
        settings that the definition records. snapshots: where candidates are kept, if not beside the store: a folder, or an
        fsspec URL that machines share. CampaignExists; DefinitionChanged where an existing one differs: changes of budget,
        policy, title and about are taken over with accept_changes=True, others make another campaign.
        """
        if if_exists not in ("error", "open"):
            problem = Problem("unknown choice", column="if_exists", value=if_exists, way_out="write 'error' or 'open'")
            raise InvalidInput("campaign", [problem])
        pool = Points(candidates) if isinstance(candidates, SearchSpace) else candidates
        check_names(name, objective, pool)
        chosen, settings = resolve_policy(policy)
        if hasattr(chosen, "check"):
            chosen.check(objective)
        terms = Terms.of(settings)
        check_limits(terms, pool)
        check_named(chosen, pool)
        check_costs(terms, chosen, space=isinstance(pool, Points))
        definition = definition_of(
            name, objective, settings, candidates=source or source_of(pool),
            features=pool.spec.to_dict() if features is None else features, experiment=experiment,
            budget=check_budget(budget), seed=check_seed(seed),
            title=title, about=about, stop=check_stop(stop, objective),
        )  # fmt: skip
        log = store if isinstance(store, EventLog) else EventLog(store)
        try:
            begin(log, name, definition, pool, progress, snapshots)
        except CampaignExists:
            if if_exists == "error":
                raise
        campaign = cls(name, log, policy=chosen)
        campaign.redefine(definition, accept=accept_changes)
        campaign.keep_snapshots(snapshots)
        return campaign

    @classmethod
    def open(
        cls,
        name: str,
        *,
        store: str | EventLog = DEFAULT_STORE,
        policy: Policy | None = None,
        snapshots: Where | None = None,
    ) -> Campaign:
        """Go on with a campaign of the store. CampaignNotFound names the nearest one.

        policy: only needed where the campaign was created with a policy that no installed package names. snapshots: only
        needed where they were moved; the store remembers it.
        """
        campaign = cls(name, _existing(store), policy=policy)
        campaign.keep_snapshots(snapshots)
        return campaign

    @staticmethod
    def list(store: str | EventLog = DEFAULT_STORE) -> pd.DataFrame:
        """The campaigns of a store, one a row; `problem` says why one cannot be read."""
        log = _existing(store)
        columns = ["campaign", "objective", "candidates", "experiments", "pending", "best", "stopped", "problem"]
        rows: Sequence[dict[str, Any]] = [_summary(name, log) for name in log.names()]
        return pd.DataFrame(rows, columns=columns)

    def ask(self, n: int = 1, *, key: str | None = None, fixed: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Propose n candidates and commit them. One row a proposal, ready to be filled in and told.

        Without a key every call is a new request. With a key the first call fixes the batch and every later one returns
        it; another n with that key is a Conflict. fixed: values, by column, that all of the batch are to have. Fewer
        than n come with a FewerProposals warning and in `.attrs["shortage"]`. A budget of experiments ends unattended runs;
        a person's batch it does not make smaller, but an OverBudget warning says that it is passed.
        """
        return self._batch(self._ask(check_count(n, "n"), key, fixed))

    def _ask(self, n: int, key: str | None, fixed: Mapping[str, Any] | None = None) -> Iteration:
        self.expire()
        return choose(self._journal, self.objective, self._candidates, self.policy, n, key, fixed)

    def _batch(self, iteration: Iteration) -> pd.DataFrame:
        trials = [self._journal.ledger.trials[i] for i in iteration.proposal_ids]
        frame = tables.batch_frame(trials, self.objective, self.pool)
        if shortage := warn_of_shortage(iteration):
            frame.attrs["shortage"] = shortage
        warn_of_excess(self._journal.ledger)
        return frame

    def propose(self, ids: str | Sequence[str] | pd.DataFrame, *, reason: str) -> pd.DataFrame:
        """A person's own choice, with the same books as a policy's. A measured candidate is proposed as a replicate.

        ids: of candidates, or over a search space a frame with the parameters' columns.
        """
        return self._batch(choose_by_hand(self._journal, self._candidates, ids, reason))

    def tell(
        self, results: pd.DataFrame, *, extra: Sequence[str] = (), dry_run: bool = False, partial: bool = False
    ) -> pd.DataFrame:
        """Add results: all rows or, where anything is wrong, none. Returns what each row became.

        Reads `proposal_id` or the pool's id, the targets, and optionally status, <target>_std, <target>_bound, replicate,
        cost, measured_at, source, note, fidelity, context; over a search space also the parameters' columns, where
        neither id is given (bounds are held to; what is beside the grid is accepted and said). Columns that say what the
        candidate is must say what is known of it, but for what a spreadsheet rounds: a sheet that was sorted in part is refused.
        The other columns of `ask` are ignored; further ones are stored only if they are named in `extra`. An empty target means 'not measured yet'. InvalidInput reports every problem at once.
        partial: good rows are taken though others are bad; those come back as 'refused', with the reason in `remark`.
        """
        return self._tell(results, extra, None, dry_run, partial)

    def correct(
        self, results: pd.DataFrame, *, reason: str, extra: Sequence[str] = (), dry_run: bool = False
    ) -> pd.DataFrame:
        """Replace what was told by other values; reads what `tell` reads. The old values stay in the log."""
        return self._tell(results, extra, check_reason(reason, "correct"), dry_run)

    def _tell(
        self,
        results: pd.DataFrame,
        extra: Sequence[str],
        correcting: str | None,
        dry_run: bool,
        partial: bool = False,
    ) -> pd.DataFrame:
        return tell_frame(self._journal, self.objective, self.pool, results, extra, correcting, dry_run, partial)

    def retract(
        self, ids: str | Sequence[str], *, reason: str, target: str | None = None, replicate: int | None = None
    ) -> None:
        """Take results back with no new value: they train nothing, and their candidates may be proposed again.

        ids: of proposals, or of candidates for results that were told without one.
        """
        transitions.retract(
            self._journal, transitions.listed(ids, "retract"), reason, target=target, replicate=replicate
        )

    def approve(self, proposal_ids: str | Sequence[str], *, note: str = "") -> None:
        """Let proposals pass that wait for a person (`require_approval`); to refuse one, `withdraw` it."""
        transitions.approve(self._journal, transitions.listed(proposal_ids, "approve"), note)

    def withdraw(self, proposal_ids: str | Sequence[str], *, reason: str) -> None:
        """Take proposals back: their candidates may be proposed again; a late result is still accepted."""
        transitions.withdraw(self._journal, transitions.listed(proposal_ids, "withdraw"), reason)

    def settle(self, proposal_id: str, *, submitted: bool, reason: str) -> None:
        """Say whether somebody outside has a proposal that is 'unknown, ask a person'."""
        transitions.settle(self._journal, proposal_id, submitted, reason)

    def expire(self) -> Sequence[str]:
        """Close the proposals whose deadline has passed; their ids. `ask` does so too."""
        return transitions.expire(self._journal, self._journal.log.now())

    def update_candidates(
        self, candidates: Snapshot | CandidatePool, *, reason: str = "", progress: Progress | None = None
    ) -> Difference:
        """Take over what the source of the candidates has now: rows that are new, changed, withdrawn or back.

        What was found out is kept, and goes on to train with the row that was measured; what the source has withdrawn is not
        proposed until it comes back. Nothing is written where nothing changed. InvalidInput where the new candidates cannot
        be used; the campaign then goes on with those that it has.
        """
        hides, counts = columns_of_experiment(self.definition)
        new = as_pool(candidates, self._journal.ledger.pool["spec"], {*hides, *self.objective.names})
        check_limits(Terms.of(self.definition["policy"]), new)
        return extend(
            self._journal, self.objective, self._candidates, new, place=self.snapshots, cache=self.files / "features",
            counts=counts, reason=reason, progress=progress,
        )  # fmt: skip

    def exclude(self, ids: str | Sequence[str], *, reason: str) -> None:
        """Never propose or run these candidates until they are readmitted. What was measured of them is kept."""
        self._mark("excluded", {"ids": known_ids(self.pool, ids), "reason": check_reason(reason, "exclude")})

    def readmit(self, ids: str | Sequence[str], *, reason: str = "") -> None:
        """Undo `exclude`."""
        wanted = known_ids(self.pool, ids)
        excluded = self.ledger.excluded
        refuse([Problem("is not excluded", value=i) for i in wanted if i not in excluded], "readmit")
        self._mark("readmitted", {"ids": wanted, "reason": reason})

    def note(self, text: str) -> None:
        """Write a remark into the log."""
        if not isinstance(text, str) or not text.strip():
            raise InvalidInput("note", [Problem("needs a text", value=text)])
        self._mark("noted", {"text": text})

    def note_once(self, text: str) -> None:
        """Write a remark into the log, unless one of the last says the same: what goes on for weeks is said once."""
        if text not in (known for _, _, known in self.ledger.notes[-20:]):
            self.note(text)

    def stop(self, reason: str) -> None:
        """Record that a stopping rule's advice was followed; the next `ask` begins anew."""
        self._mark("stopped", {"reason": reason})

    def _mark(self, kind: str, payload: Mapping[str, Any]) -> None:
        self._journal.append(Draft(kind, payload))

    def claim(self, n: int = 1, *, worker: str = "", seconds: float = SECONDS) -> Claims:
        """Take up to n proposals that nobody works on, so that nobody else does; fewer come back where there are fewer.

        worker: a name that others see; default: this machine and process. seconds: how long a claim outlives this process.
        """
        return Claims(self, check_count(n, "n"), worker, seconds)

    def run(
        self,
        experiment: Experiment | Callable[..., Any],
        n: int,
        *,
        batch: int | None = None,
        watch: Watch | None = None,
    ) -> pd.DataFrame:
        """Ask, run and tell until n more experiments were made; what is pending is run first. Returns the observations.

        experiment: an `Experiment`, or a function from a candidate's values (a mapping) to a number, or to a mapping of
        targets to numbers. Each result is committed before the next experiment begins. A budget binds unattended runs
        (`discover run`), not this call.
        """
        n = check_count(n, "n")
        size = check_count(batch, "batch") if batch is not None else self.batch_size
        runner = self._experiment(experiment)
        before, started = len(self.ledger.failures()), self.ledger.started
        with self.held():
            ran = run_pending(self._journal, self.objective, runner, n, watch, wait=True)
            while (done := max(ran, self.ledger.started - started)) < n:  # other workers may have a share in it
                iteration = self._ask(min(size, n - done), None)
                more = run_pending(self._journal, self.objective, runner, n - done, watch, wait=True)
                if not more and not any(self.ledger.trials[pid].attempts for pid in iteration.proposal_ids):
                    self._batch(iteration)
                    break
                ran += more
        warn_of_failures(self.ledger.failures()[before:], ran)
        return self.observations

    def dispatch(self, experiment: OutsideExperiment, limit: int | None = None) -> int:
        """Hand over to somebody else what is proposed, approved or to be retried; how many. LeaseHeld, NotHandedOver.

        limit: how many attempts may be begun. What the outside does not take now keeps its key for the next time.
        """
        with self.held():
            return collecting.dispatch(self, experiment, limit)

    def collect(self, experiment: OutsideExperiment, say: Callable[[str], Any] = print) -> Collected:
        """Commit what has come in from somebody else, by key or by sheet. LeaseHeld.

        say: told of every sheet what its rows became.
        """
        with self.held():
            return collecting.collect(self, experiment, say)

    def _experiment(self, experiment: Experiment | Callable[..., Any]) -> Experiment:
        if isinstance(experiment, OutsideExperiment):
            raise Unsupported(
                "this experiment is made by somebody else: hand it over with dispatch(…), then collect(…)"
            )
        if isinstance(experiment, Experiment):
            runner = experiment
        else:
            from discover.experiment.callable import CallableExperiment

            runner = CallableExperiment(experiment, self.objective.units)
        check_experiment(runner, self.objective, self.pool)
        return runner

    def run_pending(
        self,
        experiment: Experiment,
        limit: int | None = None,
        watch: Watch | None = None,
        worker: str = "",
        *,
        wait: bool = False,
        only: Collection[str] | None = None,
    ) -> int:
        """Run what is cut off, approved or to be retried and what no other worker has; how many attempts ran here.

        limit: how many attempts may be begun, by whomever. wait: until other workers are done with what they have in hand.
        only: none but these proposals. To do it twice, at once or in turn, does nothing twice.
        """
        runner = self._experiment(experiment)
        return run_pending(self._journal, self.objective, runner, limit, watch, worker, wait=wait, only=only)

    @contextmanager
    def held(self) -> Iterator[Lease]:
        """Be the only process that runs this campaign's experiments, for the length of a block. LeaseHeld."""
        with held(self._journal.log, self.name, "run") as lease:
            yield lease

    def redefine(self, definition: Mapping[str, Any], *, accept: bool = False) -> None:
        """Hold a definition against the campaign's own; take over accepted changes. DefinitionChanged otherwise."""
        if redefine(self._journal, definition, accept):
            self._policy = None


def _existing(store: str | EventLog) -> EventLog:
    return store if isinstance(store, EventLog) else EventLog(store, create=False)


def _summary(name: str, log: EventLog) -> dict[str, Any]:
    try:
        return Campaign(name, log).status().to_dict() | {"problem": ""}
    except DiscoverError as error:
        return {"campaign": name, "problem": str(error)}
