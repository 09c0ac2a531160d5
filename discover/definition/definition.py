"""A checked campaign file: what it declares, and the campaign that it opens or begins."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from discover import registry
from discover.campaign import Campaign, terms
from discover.campaign.asking.limiting import check_costs
from discover.campaign.creating import redefine
from discover.campaign.pool.places import named_place
from discover.campaign.settings import definition_of, differences, fixed
from discover.candidates.pool.pool import CandidatePool, PoolSpec
from discover.candidates.snapshots.difference import Difference
from discover.candidates.snapshots.place import Place
from discover.candidates.snapshots.snapshot import Snapshot
from discover.candidates.sources.space import SpaceSource
from discover.candidates.space import SearchSpace
from discover.definition.checking import Checker
from discover.definition.descriptors import read_descriptors
from discover.definition.model import CampaignModel, ColumnFeature
from discover.errors import (
    CampaignNotFound,
    IntegrityError,
    InvalidDefinition,
    InvalidInput,
    Problem,
    SourceError,
    Unsupported,
    nearest,
)
from discover.objective import Objective
from discover.protocols import CandidateSource, Experiment
from discover.store.database.database import exists
from discover.store.database.places import files_of, shown
from discover.store.log.log import EventLog
from discover.values import Progress

MADE_FROM = {
    "composition": "formula",
    "embedding": "formula",
    "structure": "structure",
    "fingerprint": "smiles",
    "molecule": "smiles",
}
"""Columns that features are made from where the file and the source name none."""


@dataclass(frozen=True)
class Definition:
    """A campaign file, checked. `settings` is what the store keeps of it."""

    path: Path
    name: str
    title: str
    about: str
    objective: Objective
    source: CandidateSource
    source_settings: Mapping[str, Any]
    features: Sequence[Any]
    policy: Mapping[str, Any]
    experiment: Experiment | None
    experiment_settings: Mapping[str, Any] | None
    budget: Mapping[str, Any]
    stop: Sequence[Mapping[str, Any]]
    seed: int
    answers: Path | None
    store: str = field(repr=False)  # it may hold a password
    snapshots: Place | None = None
    refreshes: bool = True
    lines: Mapping[tuple[str | int, ...], int] = field(default_factory=dict, repr=False, compare=False)

    @property
    def base(self) -> Path:
        """The folder that relative paths in the file start at."""
        return self.path.parent

    @property
    def settings(self) -> dict[str, Any]:
        """What the store keeps of the file."""
        return definition_of(
            self.name, self.objective, self.policy, candidates=self.source_settings, features=list(self.features),
            experiment=self.experiment_settings, budget=self.budget, seed=self.seed, title=self.title, about=self.about,
            stop=self.stop,
        )  # fmt: skip

    def runner(self, files: Path) -> Experiment | None:
        """The experiment, bound to this file's folder and the store's files."""
        return self.experiment.located(self.base, files) if self.experiment else None

    def pull(self, files: Path, *, refresh: bool = False, progress: Progress | None = None) -> Snapshot:
        """The candidates as a snapshot under `files`, with every column that features and experiment need."""
        source = self._located(files)
        return source.pull(self.needed, refresh=refresh, progress=progress)

    def newest(self, files: Path) -> Snapshot | None:
        """The newest snapshot of these candidates under `files`, where the source keeps them."""
        source = self._located(files)
        find = getattr(source, "newest", None)
        found: Snapshot | None = find(self.needed) if find else None
        return found

    def refresh(self, campaign: Campaign, *, progress: Progress | None = None) -> Difference:
        """Ask the source what it has now, and let the campaign take over the difference; nothing is written without one.

        SourceError where the source cannot be asked (an older snapshot does not count as now), InvalidInput where its
        candidates cannot be used any more: the campaign goes on with those that it has, and a note in its log says so.
        """
        if isinstance(self.source, SpaceSource):
            return Difference()
        try:
            source = self._located(campaign.files)
            latest = getattr(source, "latest", None)
            snapshot = (
                latest(self.needed, progress=progress)
                if latest
                else source.pull(self.needed, refresh=True, progress=progress)
            )
            pool = self.pool(snapshot)
            assert isinstance(pool, CandidatePool)
            return campaign.update_candidates(pool, reason=_pulled(snapshot), progress=progress)
        except (SourceError, InvalidInput, IntegrityError) as error:
            campaign.note_once(f"the candidates are those of before, for they could not be pulled anew: {error}")
            raise

    def _located(self, files: Path) -> CandidateSource:
        """The source, bound to this file's folder, the store's files, and the place of snapshots that is named."""
        source = self.source.located(self.base, files)
        place = named_place(self.snapshots, files)
        placed = getattr(source, "placed", None)
        found: CandidateSource = source if place is None or placed is None else placed(place)
        return found

    @property
    def needed(self) -> tuple[str, ...]:
        """Columns that features, experiment and the limits of a batch read."""
        limiting = [column for _, column in terms.Terms.of(self.policy).columns]
        return tuple(dict.fromkeys([*self._spec(None).used, *self.required, *limiting]))

    @property
    def required(self) -> tuple[str, ...]:
        """Columns of a candidate that the experiment reads."""
        return tuple(self.experiment.requires) if self.experiment is not None else ()

    @property
    def answer_columns(self) -> frozenset[str]:
        """Columns that the candidates must not show."""
        own = {c for t in self.objective.names for c in (t, f"{t}_std", f"{t}_bound")}
        return frozenset(own | set(getattr(self.experiment, "hides", ())))

    @property
    def made_from_by_kind(self) -> Mapping[str, str]:
        """The column that each installed kind of features is made from where the file names none."""
        defaults = {**MADE_FROM, **getattr(type(self.source), "made_from", {})}
        return {kind: defaults.get(kind, kind) for kind in registry.kinds(registry.FEATURES)}

    def pool(self, snapshot: Snapshot) -> CandidatePool | SearchSpace:
        """The candidates, without the columns that hold answers; or the space that the file declares."""
        if isinstance(self.source, SpaceSource):
            return self.source.located(self.base, self.base).space
        spec = self._spec(snapshot)
        drop = [c for c in snapshot.columns if c in self.answer_columns]
        used = sorted(set(drop) & set(spec.used))
        if used:
            raise InvalidDefinition(
                self.path.name,
                [Problem("a feature would tell the answer", column=c, way_out="leave it out") for c in used],
            )
        measured = self.experiment.targets if self.experiment is not None else {}
        if known := [c for c in snapshot.columns if c in self.objective.outcomes and c not in measured]:
            message = "a column of the candidates has the name of a constrained outcome"
            hint = "what is known of every candidate is a filter: ask the source only for those that satisfy it"
            raise InvalidDefinition(self.path.name, [Problem(message, column=c, way_out=hint) for c in known])
        return CandidatePool.from_snapshot(snapshot, spec, drop=drop)

    def begun(self, store: str | None = None) -> bool:
        """Whether the store holds this campaign. No store is made."""
        if not exists(store or self.store):
            return False
        log = EventLog(store or self.store)
        try:
            return self.name in log.names()
        finally:
            log.database.close()

    def open(
        self,
        store: str | None = None,
        *,
        changes: Literal["refuse", "accept", "note"] = "refuse",
        progress: Progress | None = None,
        create: bool = True,
    ) -> Campaign:
        """The campaign of this file in its store; it begins if there is none yet and `create` is true.

        changes: what to do where the file has changed since. `refuse`: DefinitionChanged with the difference; `accept`: take
        over what may change (budget, policy, title, about); `note`: go on as the campaign stands, with a warning. What may not
        change is always refused. CampaignNotFound without `create`; no store is made then.
        """
        url = store or self.store
        if not create and not self.begun(url):
            raise CampaignNotFound(f"campaign {self.name!r} has not begun in {shown(url)}; {_BEGINS}")
        if self.begun(url):
            log = EventLog(url)
            campaign = Campaign.open(self.name, store=log, snapshots=self.snapshots)
            if changes == "note" and not fixed(change := differences(campaign.definition, self.settings)):
                if change:
                    warnings.warn(_noted(change), stacklevel=2)
                return campaign
            redefine(campaign._journal, self.settings, changes == "accept")
            return Campaign.open(self.name, store=log)
        pool = self.pool(
            self.pull(files_of(url), progress=progress)
        )  # before there is a store: a failed pull leaves none
        return Campaign.create(
            self.name, objective=self.objective, candidates=pool, policy=self.policy, store=url, seed=self.seed,
            if_exists="open", budget=self.budget, experiment=self.experiment_settings, source=self.source_settings,
            features=list(self.features), title=self.title, about=self.about, snapshots=self.snapshots, stop=self.stop,
            progress=progress,
        )  # fmt: skip

    def _made_from(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for item in self.features:
            if isinstance(item, str) and item in self.made_from_by_kind:
                found[item] = self.made_from_by_kind[item]
            elif isinstance(item, Mapping):
                found |= {k: v for k, v in item.items() if k in MADE_FROM}
        return found

    def _spec(self, snapshot: Snapshot | None) -> PoolSpec:
        kinds = registry.kinds(registry.FEATURES)
        columns = [item for item in self.features if isinstance(item, str) and item not in kinds]
        categorical = [
            str(item["categorical"]) for item in self.features if isinstance(item, Mapping) and "categorical" in item
        ]
        descriptors = {
            str(item["categorical"]): read_descriptors(self.base / item["descriptors"])
            for item in self.features
            if isinstance(item, Mapping) and "descriptors" in item
        }
        substances = {
            str(item["categorical"]): str(item["smiles"])
            for item in self.features
            if isinstance(item, Mapping) and "smiles" in item
        }
        spec = PoolSpec(
            id=snapshot.id if snapshot else "", columns=tuple(columns), categorical=tuple(categorical),
            descriptors=descriptors, made_from=self._made_from(), substances=substances,
        )  # fmt: skip
        if snapshot is not None:
            have = {*snapshot.columns, *([snapshot.structure] if snapshot.structure else [])}
            missing = [
                Problem("no such column in the candidates", key="features", value=c, way_out=nearest(c, have))
                for c in spec.used
                if c not in have
            ]
            if missing:
                raise InvalidDefinition(self.path.name, missing)
        return spec


_BEGINS = "'discover run' or 'ask' begins it"


def _pulled(snapshot: Snapshot) -> str:
    told = (snapshot.manifest.get(key) for key in ("source", "database_version", "retrieved_at", "file_modified"))
    return f"pulled from {', '.join(str(part) for part in told if part)}"


def _noted(change: Sequence[str]) -> str:
    return (
        f"the file differs from the campaign, which goes on as it stands ({'; '.join(change)}); "
        "'run' or 'ask' with --accept-changes takes it over"
    )


def load(path: Path | str) -> Definition:
    """Read and check a campaign file. InvalidDefinition reports every problem at once."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidDefinition(str(path), [Problem(f"cannot be read: {error}")]) from error
    checker = Checker(path.name, text)
    model = checker.model()
    source = checker.kind(registry.SOURCES, "candidates")
    policy = checker.kind(registry.POLICIES, "policy")
    experiment = checker.kind(registry.EXPERIMENTS, "experiment")
    objective = checker.objective(model.objective) if model else None
    rules = checker.rules(objective)
    if model is not None and objective is not None:
        _check_together(checker, model, objective, policy, experiment)
    _check_features(checker)
    snapshots = _snapshots(checker, path.resolve().parent, model.snapshots if model else None)
    checker.finish()
    assert model is not None
    assert objective is not None
    return Definition(
        path=path.resolve(),
        name=model.campaign,
        title=model.title,
        about=model.about,
        objective=objective,
        source=source,
        source_settings=registry.settings_of(registry.SOURCES, source),
        features=[f.model_dump(exclude_none=True) if isinstance(f, ColumnFeature) else f for f in model.features],
        policy=_policy_settings(policy, model.policy),
        experiment=experiment,
        experiment_settings=registry.settings_of(registry.EXPERIMENTS, experiment) if experiment else None,
        budget=model.budget.model_dump(exclude_none=True),
        stop=[registry.settings_of(registry.STOPPING, rule) for rule in rules],
        seed=model.seed,
        answers=path.resolve().parent / model.answers if model.answers else None,
        store=_store(path.resolve(), model),
        snapshots=snapshots,
        refreshes=model.refresh == "each-run",
        lines=checker.lines,
    )


def _policy_settings(policy: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The policy with all of its options, and the campaign's terms that the file gives beside them."""
    chosen = policy or registry.configure(registry.POLICIES, {"kind": "bayesian"})
    settings = registry.settings_of(registry.POLICIES, chosen)
    return settings | {key: given[key] for key in terms.KEYS if key in given}


def _check_together(checker: Checker, model: CampaignModel, objective: Objective, policy: Any, experiment: Any) -> None:
    if policy is not None and hasattr(policy, "check"):
        try:
            policy.check(objective)
        except Exception as error:
            checker.add(str(error), ("policy", "kind"), model.policy.get("kind"))
    if policy is not None and not terms.problems_of(model.policy):
        try:
            check_costs(terms.Terms.of(model.policy), policy, space=model.candidates.get("kind") == "space")
        except Unsupported as error:
            checker.add(str(error), ("policy", "cost"), model.policy.get("cost"))
    if experiment is None:
        return
    measured = experiment.targets
    for name, unit in objective.units.items():
        key = "outcomes" if name in objective.outcomes else "unit"
        if name not in measured:
            checker.add("the experiment does not measure this", ("objective",), name, nearest(name, measured))
        elif unit and measured[name] not in ("", unit):
            checker.add(f"the experiment measures in {measured[name]!r}", ("objective", key), unit)


def _check_features(checker: Checker) -> None:
    """A list of candidates needs features, a search space makes its own."""
    given, source = checker.data.get("features"), checker.data.get("candidates")
    if isinstance(source, Mapping) and source.get("kind") == "space":
        if given:
            hint = "leave it out; descriptors are an option of the parameter"
            checker.add("a search space makes its own features", ("features",), way_out=hint)
    elif "features" not in checker.data:
        checker.add("is required", ("features",))
    elif given == []:
        checker.add("must have at least 1", ("features",), given)


def _snapshots(checker: Checker, base: Path, where: str | None) -> Place | None:
    try:
        return Place.of(where, base=base) if where else None
    except InvalidInput as error:
        for problem in error.problems:
            checker.add(problem.message, ("snapshots",), problem.value, problem.way_out)
        return None


def _store(path: Path, model: CampaignModel) -> str:
    if model.store is None:
        return f"sqlite:///{path.parent / '.discover' / f'{model.campaign}.db'}"
    prefix = "sqlite:///"
    file = model.store.removeprefix(prefix)
    if file in (model.store, ":memory:") or file.startswith("/"):
        return model.store
    beside, home = path.parent / file, Path(file).expanduser()
    return f"{prefix}{home if home.is_absolute() and not beside.exists() else beside}"
