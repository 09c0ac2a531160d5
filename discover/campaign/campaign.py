"""The campaign: ask, tell, status. It holds no truth of its own; every answer is folded from the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from discover import registry
from discover.campaign import tables
from discover.campaign.asking import environment, view_of
from discover.campaign.choosing import choose, choose_by_hand, known_ids, warn_of_shortage, withdraw
from discover.campaign.creating import begin, check_seed, redefine
from discover.campaign.predicting import predictions
from discover.campaign.running import Watch, check_experiment, run_pending, warn_of_failures
from discover.campaign.settings import (
    check_budget,
    check_count,
    check_names,
    check_reason,
    definition_of,
    refuse,
    resolve_policy,
)
from discover.campaign.status import Status, status_of
from discover.campaign.telling import tell_frame
from discover.candidates.pool import CandidatePool, PoolSpec
from discover.candidates.snapshot import Snapshot
from discover.errors import CampaignExists, DiscoverError, InvalidInput, Problem
from discover.features.build import feature_table
from discover.objective import Objective
from discover.protocols import Experiment, FeatureTable, Policy, Progress, Spending, View
from discover.store.events import Draft
from discover.store.journal import Journal
from discover.store.leases import held
from discover.store.ledger import Iteration, Ledger, Trial
from discover.store.log import EventLog

if TYPE_CHECKING:
    from discover.store.leases import Lease

DEFAULT_STORE = "sqlite:///campaigns.db"


class Campaign:
    """A question pursued over many iterations: objective, candidates, policy, and what was found out.

    Example::

        campaign = Campaign.create("solvents", objective=Objective("yield", "maximize", unit="%"), candidates=pool)
        batch = campaign.ask(5)
        campaign.tell(batch.assign(**{"yield": [12.0, 55.1, 31.9, 8.4, 47.0]}))
        campaign.best(3)
    """

    def __init__(self, name: str, log: EventLog, *, policy: Policy | None = None):
        """Use `Campaign.create` or `Campaign.open`."""
        self.name = name
        self._journal = Journal(log, name)
        self._policy = policy

    @classmethod
    def create(
        cls,
        name: str,
        *,
        objective: Objective,
        candidates: CandidatePool,
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
        accept_changes: bool = False,
        progress: Progress | None = None,
    ) -> Campaign:
        """Begin a campaign, or with if_exists="open" go on with the one of that name.

        policy: a kind, a kind with its options, or a `Policy`. budget: {"experiments": 60}. experiment, source, features:
        settings that the definition records. CampaignExists; DefinitionChanged where an existing one differs: changes of budget,
        policy, title and about are taken over with accept_changes=True, others make another campaign.
        """
        if if_exists not in ("error", "open"):
            problem = Problem("unknown choice", column="if_exists", value=if_exists, way_out="write 'error' or 'open'")
            raise InvalidInput("campaign", [problem])
        check_names(name, objective, candidates)
        chosen, settings = resolve_policy(policy)
        if hasattr(chosen, "check"):
            chosen.check(objective)
        definition = definition_of(
            name, objective, settings, candidates=source or {"kind": "frame", "hash": candidates.hash},
            features=features or candidates.spec.to_dict(), experiment=experiment,
            budget=check_budget(budget), seed=check_seed(seed),
            title=title, about=about,
        )  # fmt: skip
        log = store if isinstance(store, EventLog) else EventLog(store)
        try:
            begin(log, name, definition, candidates, progress)
        except CampaignExists:
            if if_exists == "error":
                raise
        campaign = cls(name, log, policy=chosen)
        campaign.redefine(definition, accept=accept_changes)
        return campaign

    @classmethod
    def open(cls, name: str, *, store: str | EventLog = DEFAULT_STORE, policy: Policy | None = None) -> Campaign:
        """Go on with a campaign of the store. CampaignNotFound names the nearest one.

        policy: only needed where the campaign was created with a policy that no installed package names.
        """
        return cls(name, _existing(store), policy=policy)

    @staticmethod
    def list(store: str | EventLog = DEFAULT_STORE) -> pd.DataFrame:
        """The campaigns of a store, one a row; `problem` says why one cannot be read."""
        log = _existing(store)
        columns = ["campaign", "objective", "candidates", "experiments", "pending", "best", "stopped", "problem"]
        rows: Sequence[dict[str, Any]] = [_summary(name, log) for name in log.names()]
        return pd.DataFrame(rows, columns=columns)

    @property
    def uid(self) -> str:
        """A short id that begins every proposal's id."""
        return self._journal.uid

    @property
    def definition(self) -> Mapping[str, Any]:
        """What the campaign was created with, and every accepted change since."""
        return self._journal.ledger.definition

    @cached_property
    def objective(self) -> Objective:
        """What is sought."""
        return Objective.from_dict(self.definition["objective"])

    @property
    def policy(self) -> Policy:
        """The rule that chooses."""
        if self._policy is None:
            settings = {k: v for k, v in self.definition["policy"].items() if k != "batch"}
            self._policy = registry.configure(registry.POLICIES, settings)
        return self._policy

    @property
    def batch_size(self) -> int:
        """How many candidates an unattended iteration proposes."""
        return int(self.definition["policy"].get("batch", 1))

    @property
    def budget(self) -> int | None:
        """How many experiments may be started, or None."""
        return self.definition["budget"].get("experiments")

    @property
    def seed(self) -> int:
        """The campaign's seed."""
        return int(self.definition["seed"])

    @property
    def store(self) -> str:
        """The store's URL."""
        return self._journal.log.database.url

    @property
    def files(self) -> Path:
        """The folder beside the store for snapshots, caches and reports."""
        return self._journal.log.database.files

    @cached_property
    def _created(self) -> Mapping[str, Any]:
        return self._journal.first.payload

    @property
    def id_name(self) -> str:
        """The candidates' id column, known without the candidates."""
        return str(self._created["pool"]["spec"]["id"])

    @cached_property
    def pool(self) -> CandidatePool:
        """What can be tried."""
        body = self._created["pool"]
        snapshot = Snapshot.open(body["snapshot"], self.files / "snapshots")
        return CandidatePool.from_snapshot(snapshot, PoolSpec.from_dict(body["spec"]))

    @cached_property
    def features(self) -> FeatureTable:
        """The candidates as numbers, [N, d]."""
        return feature_table(self.pool, self.files / "features")

    @property
    def ledger(self) -> Ledger:
        """The fold of the log, with everything that others have written: what is true now."""
        return self._journal.refresh()

    def view(self) -> View:
        """What a policy may know now."""
        return view_of(self.ledger, self.objective, self.pool, self.features)

    def ask(self, n: int = 1, *, key: str | None = None) -> pd.DataFrame:
        """Propose n candidates and commit them. One row a proposal, ready to be filled in and told.

        Without a key every call is a new request. With a key the first call fixes the batch and every later one returns
        it; another n with that key is a Conflict. Fewer than n come with a FewerProposals warning and in `.attrs["shortage"]`.
        """
        return self._batch(self._ask(check_count(n, "n"), key))

    def _ask(self, n: int, key: str | None) -> Iteration:
        return choose(self._journal, self.objective, self.pool, self.features, self.policy, n, key)

    def _batch(self, iteration: Iteration) -> pd.DataFrame:
        trials = [self._journal.ledger.trials[i] for i in iteration.proposal_ids]
        frame = tables.batch_frame(trials, self.objective, self.pool)
        if shortage := warn_of_shortage(iteration):
            frame.attrs["shortage"] = shortage
        return frame

    def propose(self, ids: str | Sequence[str], *, reason: str) -> pd.DataFrame:
        """A person's own choice, with the same books as a policy's. A measured candidate is proposed as a replicate."""
        return self._batch(choose_by_hand(self._journal, self.pool, known_ids(self.pool, ids), reason))

    def tell(self, results: pd.DataFrame, *, extra: Sequence[str] = (), dry_run: bool = False) -> pd.DataFrame:
        """Add results: all rows or, where anything is wrong, none. Returns what each row became.

        Reads `proposal_id` or the pool's id, the targets, and optionally status, <target>_std, <target>_bound, replicate,
        cost, measured_at, source, note, fidelity, context; ignores the other columns of `ask`; stores further ones only if
        they are named in `extra`. An empty target means 'not measured yet'. InvalidInput reports every problem at once.
        """
        return self._tell(results, extra, None, dry_run)

    def correct(
        self, results: pd.DataFrame, *, reason: str, extra: Sequence[str] = (), dry_run: bool = False
    ) -> pd.DataFrame:
        """Replace what was told by other values; reads what `tell` reads. The old values stay in the log."""
        return self._tell(results, extra, check_reason(reason, "correct"), dry_run)

    def _tell(self, results: pd.DataFrame, extra: Sequence[str], correcting: str | None, dry_run: bool) -> pd.DataFrame:
        return tell_frame(self._journal, self.objective, self.pool, results, extra, correcting, dry_run)

    def withdraw(self, proposal_ids: str | Sequence[str], *, reason: str) -> None:
        """Take proposals back: their candidates may be proposed again; a late result is still accepted."""
        withdraw(self._journal, [proposal_ids] if isinstance(proposal_ids, str) else list(proposal_ids), reason)

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
        self._mark("noted", {"text": text})

    def stop(self, reason: str) -> None:
        """Record that a stopping rule's advice was followed; the next `ask` begins anew."""
        self._mark("stopped", {"reason": reason})

    def _mark(self, kind: str, payload: Mapping[str, Any]) -> None:
        self._journal.append(Draft(kind, payload))

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
        before = len(self.ledger.failures())
        with self.held():
            done = run_pending(self._journal, self.objective, runner, n, watch)
            while done < n:
                iteration = self._ask(min(size, n - done), None)
                ran = run_pending(self._journal, self.objective, runner, n - done, watch)
                if not ran:
                    self._batch(iteration)
                    break
                done += ran
        warn_of_failures(self.ledger.failures()[before:], done)
        return self.observations

    def _experiment(self, experiment: Experiment | Callable[..., Any]) -> Experiment:
        if isinstance(experiment, Experiment):
            runner = experiment
        else:
            from discover.experiment.callable import CallableExperiment

            runner = CallableExperiment(experiment, {t.name: t.unit for t in self.objective.targets})
        check_experiment(runner, self.objective, self.pool)
        return runner

    def run_pending(self, experiment: Experiment, limit: int | None = None, watch: Watch | None = None) -> int:
        """Run what is proposed, cut off or to be retried, at most `limit` attempts; how many ran. Hold the lease."""
        return run_pending(self._journal, self.objective, self._experiment(experiment), limit, watch)

    @contextmanager
    def held(self) -> Iterator[Lease]:
        """Be the only process that runs this campaign's experiments, for the length of a block. LeaseHeld."""
        with held(self._journal.log, self.name, "run") as lease:
            yield lease

    @property
    def observations(self) -> pd.DataFrame:
        """What was found out, one row a trial, in the order in which it was told; failures included."""
        return tables.observations_frame(self.ledger, self.objective, self.id_name)

    @property
    def pending(self) -> pd.DataFrame:
        """Proposals whose result is expected: the columns of `ask`, and their state."""
        trials = self.ledger.pending()
        frame = tables.batch_frame(trials, self.objective, self.pool)
        return frame.assign(state=[self.ledger.state(trial).value for trial in trials])

    @property
    def proposals(self) -> pd.DataFrame:
        """Every proposal ever made, with its reason, its state and what was found."""
        return tables.proposals_frame(self.ledger, self.objective, self.id_name)

    @property
    def iterations(self) -> pd.DataFrame:
        """One row a batch: when, how many, what was learned before it, the best once it was in."""
        return tables.iterations_frame(self.ledger, self.objective, self.observations)

    @property
    def notes(self) -> pd.DataFrame:
        """Remarks in the log, such as why bits cannot be promised."""
        return pd.DataFrame(self.ledger.notes, columns=["seq", "time", "text"])

    @property
    def spending(self) -> Spending:
        """Experiments started so far (failures and retries count), and their cost."""
        return self.ledger.spending

    def best(self, n: int = 10) -> pd.DataFrame:
        """The best measured candidates that satisfy every constraint, with their columns; repeated ones once each."""
        return tables.best_frame(self.observations, self.objective, self.pool, n)

    def predict(self, candidates: str | Sequence[str] | pd.DataFrame) -> pd.DataFrame:
        """What the surrogate believes: one row a candidate, mean and deviation of the noiseless targets.

        candidates: ids of the pool, or a frame: read by the columns that the features are made from where it has them all
        (they may be other than the pool's), otherwise by its ids.
        """
        return predictions(self.view(), self.pool, candidates)

    def status(self) -> Status:
        """Where the campaign stands."""
        return status_of(self.name, self.ledger, self.pool, self.observations, self.best(1))

    def provenance(self) -> dict[str, Any]:
        """Where everything comes from: snapshot, definition, features, seed, versions."""
        snapshot = Snapshot.open(self._created["pool"]["snapshot"], self.files / "snapshots")
        return {
            "campaign": self.name,
            "uid": self.uid,
            "definition": dict(self.definition),
            "definition_hash": self.ledger.definition_hash,
            "snapshot": dict(snapshot.manifest),
            "snapshot_hash": snapshot.hash,
            "features": {"names": list(self.features.names), "hash": self.features.hash},
            "environment": environment() | {"discover": version("discover-loop")},
            "created": self._journal.first.time,
        }

    def redefine(self, definition: Mapping[str, Any], *, accept: bool = False) -> None:
        """Hold a definition against the campaign's own; take over accepted changes. DefinitionChanged otherwise."""
        if redefine(self._journal, definition, accept):
            self._policy = None

    def trials(self) -> Sequence[Trial]:
        """Proposals and what became of them, oldest first, for reports and flows."""
        return tuple(self.ledger.trials.values())

    def __repr__(self) -> str:
        return f"Campaign({self.name!r}, store={self.store!r})\n{self.status()}"

    def _repr_html_(self) -> str:
        return self.status()._repr_html_()


def _existing(store: str | EventLog) -> EventLog:
    return store if isinstance(store, EventLog) else EventLog(store, create=False)


def _summary(name: str, log: EventLog) -> dict[str, Any]:
    try:
        return Campaign(name, log).status().to_dict() | {"problem": ""}
    except DiscoverError as error:
        return {"campaign": name, "problem": str(error)}
