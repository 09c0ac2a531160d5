"""A campaign as one HTML file: no request leaves it, it reads on a phone, and everything from data is escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from discover import registry
from discover.errors import DiscoverError
from discover.report import words
from discover.report.answers import known_answers
from discover.report.beliefs import beliefs
from discover.report.curves import compare, path_of
from discover.report.formulas import has_formulas
from discover.report.front import draw_front, draw_volume, front_words
from discover.report.near import near_duplicates
from discover.report.plots import draw_best_so_far, draw_calibration, draw_parity
from discover.report.tables import (
    best_of_each,
    best_table,
    cautions_table,
    failure_kinds,
    failures_table,
    why_table,
)
from discover.report.writing import check_place, make_folder, whole_file

if TYPE_CHECKING:
    from markupsafe import Markup

    from discover.backtest.answers import Answers
    from discover.protocols import Experiment


def report(
    campaign: Any,
    path: str | Path,
    answers: Answers | pd.DataFrame | str | Path | None = None,
    *,
    experiment: Experiment | None = None,
) -> Path:
    """Write the campaign's report to `path` (one HTML file, whole or not at all) and return it.

    answers: what every candidate of the pool gives, for the exact random line and the one-feature baseline: a folder of
    answers or its frame (used only if its manifest agrees with the campaign's experiment), or `Answers` of the very
    experiment. experiment: the campaign's own, for its description; by default made from the definition.
    """
    path = Path(path)
    make_folder(path.parent, "report")
    check_place(path, "report")
    text = render(campaign, answers, experiment=experiment)
    with whole_file(path, "report") as draft:
        draft.write_text(text, encoding="utf-8")
    return path


def render(
    campaign: Any,
    answers: Answers | pd.DataFrame | str | Path | None = None,
    *,
    experiment: Experiment | None = None,
) -> str:
    """The report as HTML text. The same campaign in the same state gives the same text."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": words.number, "plain": words.plain_name, "formula": _subscripts}
    environment.globals["plus_minus"] = words.plus_minus
    folder = resources.files("discover.report")
    template = environment.from_string((folder / "page.html.jinja").read_text(encoding="utf-8"))
    style = Markup((folder / "page.css").read_text(encoding="utf-8"))
    return template.render(style=style, **_content(campaign, answers, experiment))


def _content(campaign: Any, answers: Any, experiment: Experiment | None) -> dict[str, Any]:
    from markupsafe import Markup

    provenance = campaign.provenance()
    definition = provenance.get("definition", {})
    experiment = experiment or _configured(definition)
    about, missing = _described(experiment)
    status = campaign.status()
    best = best_table(campaign)
    path = path_of(campaign)
    known = known_answers(campaign, answers, experiment, about)
    comparison = compare(campaign, path, known.answers) if known.answers is not None and len(path) else None
    judged = [beliefs(campaign, name) for name in campaign.objective.names]
    why = why_table(campaign)
    failures = failures_table(campaign)
    return {
        "title": definition.get("title") or campaign.name,
        "campaign": campaign,
        "targets": campaign.objective.targets,
        "goal": words.goal(campaign.objective),
        "status": status,
        "about": definition.get("about", ""),
        "experiment": about,
        "experiment_missing": missing,
        "key": campaign.pool.id,
        "has_formula": has_formulas(campaign),
        "has_conditions": bool((why["conditions"] != "").any() or (len(best) and (best["conditions"] != "").any())),
        "has_cautions": "cautions" in best and bool((best["cautions"] != "").any()),
        "best": best.to_dict("records"),
        "best_of_each": best_of_each(campaign),
        "std_means": about.get("std_means", "") if any(f"{t}_std" in best for t in campaign.objective.names) else "",
        "curve": Markup(draw_best_so_far(path, comparison).svg("curve")) if len(path) else None,
        "curve_words": words.comparison_words(path, comparison) if comparison else [],
        "answers_words": known.words,
        "front": _front(campaign),
        "elsewhere": path.elsewhere,
        "judged": [
            {
                "target": known_before.target,
                "parity": Markup(draw_parity(known_before).svg(f"parity{place}")),
                "calibration": Markup(draw_calibration(known_before).svg(f"calibration{place}")),
                "words": words.belief_words(known_before),
            }
            for place, known_before in enumerate(judged)
        ],
        "iterations": _iterations(campaign, why),
        "failures": failures.to_dict("records"),
        "failure_kinds": failure_kinds(failures).items() if len(failures) else [],
        "twins": near_duplicates(campaign).to_dict("records"),
        "cautions": cautions_table(campaign).to_dict("records"),
        "notes": campaign.notes.to_dict("records") if hasattr(campaign, "notes") else [],
        "citations": _citations(about, provenance, definition, formulas=has_formulas(campaign)),
        "provenance": _pairs(provenance),
        "settings": _pairs({"experiment": about}) if about else [],
        "definition": json.dumps(definition, indent=2, ensure_ascii=False, default=str),
    }


def _subscripts(formula: str) -> Markup:
    """A formula with its numbers set low; everything else in it is escaped."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)", r"<sub>\1</sub>", str(escape(formula))))


def _configured(definition: Mapping[str, Any]) -> Experiment | None:
    settings = definition.get("experiment")
    if not isinstance(settings, Mapping) or "kind" not in settings:
        return None
    try:
        found: Experiment = registry.configure(registry.EXPERIMENTS, settings)
        return found
    except DiscoverError:
        return None


def _described(experiment: Experiment | None) -> tuple[Mapping[str, Any], str]:
    """`describe()` of the experiment, or {} and why there is none."""
    if experiment is None:
        return {}, "The experiment is not part of the campaign's definition, so it is not described here."
    try:
        return experiment.describe(), ""
    except DiscoverError as error:
        return {}, f"The experiment cannot be described here: {error}"


def _front(campaign: Any) -> dict[str, Any]:
    """The pictures of the Pareto front and of its growth; empty for a single target."""
    from markupsafe import Markup

    if len(campaign.objective.targets) == 1:
        return {}
    front = campaign.front()
    return {
        "picture": Markup(draw_front(front).svg("front")),
        "growth": Markup(draw_volume(front, campaign.observations).svg("volume")),
        "words": front_words(front),
    }


def _iterations(campaign: Any, why: pd.DataFrame) -> list[dict[str, Any]]:
    """Per batch: what was believed before it, and the proposals as records for the template."""
    learned = campaign.iterations.set_index("iteration")
    batches = []
    for number in sorted({int(i) for i in why["iteration"]}):
        batch, row = why[why["iteration"] == number], learned.loc[number]
        batches.append(
            {
                "number": number,
                "verdict": row["verdict"],
                "best": row["best_so_far"],
                "shortage": row["shortage"] if "shortage" in learned.columns else "",
                "proposals": [_readable(record, campaign.objective.names) for record in _records(batch)],
            }
        )
    return batches


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in record.items()} for record in frame.to_dict("records")]


def _readable(record: dict[str, Any], targets: tuple[str, ...]) -> dict[str, Any]:
    predicted = {
        name: (record[f"predicted_mean{suffix}"], record[f"predicted_std{suffix}"])
        for name in targets
        for suffix in ["" if "predicted_mean" in record and name == targets[0] else f"_{name}"]
    }
    chance = record.get("probability")
    known = chance is not None and np.isfinite(chance) and chance < 1
    return record | {
        "predicted": {name: pair for name, pair in predicted.items() if np.isfinite(pair[0])},
        "chance": chance if known else None,
        "found": {name: record[name] for name in targets if np.isfinite(record[name])},
    }


def _citations(
    about: Mapping[str, Any], provenance: Mapping[str, Any], definition: Mapping[str, Any], *, formulas: bool
) -> list[str]:
    kind = str(dict(definition.get("policy") or {}).get("kind", ""))
    materials = words.MATERIALS if formulas else ()
    return list(
        dict.fromkeys([*words.citations(about, provenance), *words.METHODS.get(kind, ()), *words.ALWAYS, *materials])
    )


def _pairs(body: Mapping[str, Any], path: str = "") -> list[tuple[str, str]]:
    """Nested mappings as (dotted key, text) for a table; long lists are counted, the definition is shown on its own."""
    rows: list[tuple[str, str]] = []
    for key, value in body.items():
        place = f"{path}.{key}" if path else str(key)
        if place in ("definition", "experiment.citations", "snapshot.citations"):
            continue
        if isinstance(value, Mapping):
            rows += _pairs(value, place)
        elif isinstance(value, (list, tuple)) and len(value) > 12:
            rows.append((place, f"{len(value)}: {', '.join(map(str, value[:12]))}, …"))
        elif isinstance(value, (list, tuple)):
            rows.append((place, "; ".join(map(str, value)) if value else "none"))
        else:
            rows.append((place, str(value)))
    return rows
