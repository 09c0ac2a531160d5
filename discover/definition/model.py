"""What may stand in a campaign file, apart from the options of the kinds that it names."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


Number = Annotated[float, Field(strict=False, allow_inf_nan=False)]


class TargetModel(_Strict):
    """One measured quantity and what is wanted of it."""

    name: Annotated[str, Field(min_length=1)]
    direction: Literal["maximize", "minimize", "match"] = "maximize"
    value: Number | None = None
    band: Annotated[list[Number], Field(min_length=2, max_length=2)] | None = None
    unit: str = ""


class ObjectiveModel(_Strict):
    """Either one target (`target`, `direction`, `unit`) or a list of them (`targets`), and constraints on outcomes."""

    target: Annotated[str, Field(min_length=1)] | None = None
    direction: Literal["maximize", "minimize", "match"] | None = None
    value: Number | None = None
    band: Annotated[list[Number], Field(min_length=2, max_length=2)] | None = None
    unit: str | None = None
    targets: Annotated[list[TargetModel], Field(min_length=1)] | None = None
    constraints: list[str] = []
    outcomes: dict[str, str] = Field({}, description="units of what is constrained without being a target")

    @model_validator(mode="after")
    def _one_form(self) -> ObjectiveModel:
        if (self.target is None) == (self.targets is None):
            raise ValueError("give either target (with direction and unit) or targets (a list)")
        if self.targets is not None and any(v is not None for v in (self.direction, self.value, self.band, self.unit)):
            raise ValueError("direction, value, band and unit belong to each item of targets")
        return self


class ColumnFeature(_Strict):
    """A feature that is made from a named column."""

    composition: str | None = None
    structure: str | None = None
    fingerprint: str | None = Field(None, description="a column of SMILES, by Morgan fingerprints")
    molecule: str | None = Field(None, description="a column of SMILES, by RDKit's descriptors")
    categorical: str | None = None
    descriptors: str | None = Field(
        None,
        description="a CSV: first column the category, further columns numbers; what is the same for all, or correlated "
        "beyond 0.95 with one before it by name, is left out",
    )
    smiles: str | None = Field(None, description="the column that holds the SMILES of each category")

    @model_validator(mode="after")
    def _one_kind(self) -> ColumnFeature:
        kinds = (self.composition, self.structure, self.fingerprint, self.molecule, self.categorical)
        if sum(v is not None for v in kinds) != 1:
            raise ValueError("name one of composition, structure, fingerprint, molecule, categorical")
        if self.categorical is None and (self.descriptors is not None or self.smiles is not None):
            raise ValueError("descriptors and smiles belong to a categorical column")
        return self


def _sort(item: Any) -> str | None:
    if isinstance(item, str):
        return "column"
    return "made" if isinstance(item, (dict, ColumnFeature)) else None


Feature = Annotated[
    Annotated[str, Tag("column"), Field(min_length=1)] | Annotated[ColumnFeature, Tag("made")],
    Discriminator(
        _sort,
        custom_error_type="feature",
        custom_error_message="a feature is a column's name, a kind of features, or such as {categorical: column}",
    ),
]


class BudgetModel(_Strict):
    """When to stop."""

    experiments: Annotated[int, Field(ge=1)] | None = None
    cost: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class CampaignModel(_Strict):
    """A campaign file."""

    campaign: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$", description="the campaign's name in its store")
    ]
    title: str = ""
    about: str = Field("", description="what the numbers are and are not; shown in the report")
    objective: ObjectiveModel
    candidates: dict[str, Any]
    features: list[Feature] = Field([], description="what the surrogate sees; a search space has its own")
    policy: dict[str, Any] = {"kind": "bayesian"}
    experiment: dict[str, Any] | None = None
    budget: BudgetModel = BudgetModel()
    stop: list[dict[str, Any]] = Field([], description="rules that end the campaign before its budget; each has a kind")
    seed: Annotated[int, Field(ge=0)] = 0
    answers: str | None = Field(None, description="a folder with every candidate's answer, read by the report alone")
    store: str | None = Field(None, description="a store's URL; relative paths start at this file")
    refresh: Literal["each-run", "never"] = Field(
        "each-run", description="whether a scheduled iteration pulls the candidates again and takes over the difference"
    )
    snapshots: str | None = Field(
        None,
        description="where candidates are kept, if not beside the store: a folder (relative to this file) or an fsspec URL",
    )
