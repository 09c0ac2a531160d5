"""A campaign file for a reaction from what a chemist says: reagents, temperatures, times."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from discover.errors import InvalidInput, Problem
from discover.reserved import RESERVED_PREFIXES, RESERVED_RESULTS

_NUMBER = r"[-+]?\d+(?:\.\d+)?"
_RANGE = re.compile(rf"^({_NUMBER})\s*(?:to|\.\.)\s*({_NUMBER})(?:\s*(?:step|by)\s*({_NUMBER}))?$")
_NAME = re.compile(r"^[A-Za-z_]\w*$")
MOST_WELLS = 384
HOW_NUMBERS = "such as '20 to 120 step 5', or a list: '20, 60, 100'; what does not vary is no parameter"
MOLECULES = (
    "# from_smiles: [molecule, fingerprint] beside a substance's values, and model: evidence under policy, let what is found\n"
    "# decide between names and what RDKit tells of the molecules"
)
HOW_REAGENTS = "such as 'base: KOH, K3PO4' or, with SMILES, 'ligand: PPh3=c1ccc(cc1)P(c1ccccc1)c1ccccc1, PCy3=...'"


@dataclass(frozen=True)
class Reaction:
    """What a campaign on reaction conditions needs to know.

    parameters: as in a campaign file. one: parameters of which a plate has one value. wells: proposals in a batch.
    """

    name: str
    target: str
    unit: str
    parameters: tuple[Mapping[str, Any], ...]
    one: tuple[str, ...] = ()
    wells: int = 24
    budget: int | None = None


def reagents(text: str) -> dict[str, Any]:
    """`base: KOH, K3PO4` to a parameter: a substance where every name has a SMILES, or else categories.

    Semicolons between the names allow commas in them. InvalidInput for what cannot be read.
    """
    name, colon, rest = text.partition(":")
    name = name.strip()
    choices = [
        part.strip() for part in re.split(r"\s*;\s*" if ";" in rest else r"\s*,\s*", rest.strip()) if part.strip()
    ]
    if not colon or not _NAME.match(name) or len(choices) < 2:
        message = "a name of letters, a colon and at least two choices are needed"
        raise InvalidInput("reagents", [Problem(message, value=text, way_out=HOW_REAGENTS)])
    pairs = [choice.partition("=") for choice in choices]
    if not any(sign for _, sign, _ in pairs):
        return _checked({"kind": "categorical", "name": name, "values": choices})
    labels = [label.strip() for label, _, _ in pairs]
    if twice := [label for label in dict.fromkeys(labels) if labels.count(label) > 1]:
        raise InvalidInput("reagents", [Problem(f"named twice: {', '.join(twice)}", value=text)])
    if lacking := [label for label, sign, smiles in pairs if not sign or not smiles.strip()]:
        message = f"no SMILES for {', '.join(lacking)}"
        raise InvalidInput("reagents", [Problem(message, value=text, way_out="give all of them one, or none")])
    values = dict(zip(labels, (smiles.strip() for _, _, smiles in pairs), strict=True))
    return _checked({"kind": "substance", "name": name, "values": values})


def numbers(name: str, text: str, unit: str = "") -> dict[str, Any]:
    """`20 to 120 step 5` or `20, 60, 100` to a parameter. InvalidInput for what cannot be read."""
    told: dict[str, Any] = {"unit": unit} if unit else {}
    if found := _RANGE.match(text.strip()):
        low, high, step = (None if part is None else _plain(part) for part in found.groups())
        told = {"low": low, "high": high, **({} if step is None else {"step": step}), **told}
        return _checked({"kind": "continuous", "name": name, **told})
    parts = [part.strip() for part in text.split(",")]
    if not _NAME.match(name) or len(parts) < 2 or not all(re.fullmatch(_NUMBER, part) for part in parts):
        raise InvalidInput(name or "numbers", [Problem("cannot be read", value=text, way_out=HOW_NUMBERS)])
    return _checked({"kind": "discrete", "name": name, "values": [_plain(part) for part in parts], **told})


def _checked(parameter: dict[str, Any]) -> dict[str, Any]:
    """The parameter, if it is one. InvalidInput says at once what a campaign file would be refused for."""
    from discover.candidates.space.declaring import parameters_of

    parameters_of([parameter])
    return parameter


def named_numbers(text: str) -> dict[str, Any]:
    """`equivalents: 1 to 3 step 0.1` to a parameter; a unit may follow the name in brackets: `loading [mol%]: 1, 2, 5`."""
    found = re.match(r"^\s*(\w+)\s*(?:\[([^\]]*)\])?\s*:\s*(.+)$", text)
    if not found:
        hint = "such as 'equivalents: 1 to 3 step 0.1' or 'loading [mol%]: 1, 2, 5'"
        raise InvalidInput("numbers", [Problem("cannot be read", value=text, way_out=hint)])
    return numbers(found[1], found[3], (found[2] or "").strip())


def check_target(name: str, unit: str) -> str:
    """The name, if it may be that of a target. InvalidInput."""
    from discover.candidates.space.space import ID
    from discover.objective import Objective
    from discover.report.plate import WELL

    if name in RESERVED_RESULTS | {ID, WELL} or name.startswith(RESERVED_PREFIXES):
        hint = "tables of results have a column of this name; choose another"
        raise InvalidInput("init", [Problem("the name is reserved", column="target", value=name, way_out=hint)])
    return Objective(name, unit=unit).names[0]


def check_wells(text: str) -> int:
    """How many experiments a batch has. InvalidInput for what is no number of wells of a plate."""
    if not re.fullmatch(r"\d{1,4}", text.strip()) or not 1 <= int(text) <= MOST_WELLS:
        raise InvalidInput("wells", [Problem(f"must be a whole number from 1 to {MOST_WELLS}", value=text)])
    return int(text)


def check_new(path: Path) -> None:
    """InvalidInput if a file stands there already, or none can be written."""
    from discover.report.writing import check_place

    if path.exists():
        hint = "choose another name; a campaign file is never overwritten"
        raise InvalidInput("init", [Problem("the file exists already", value=str(path), way_out=hint)])
    check_place(path, "init")


def write_reaction(reaction: Reaction, path: Path) -> None:
    """Write the campaign file, and load it once before it appears. InvalidInput: it stands already, or is no campaign."""
    from discover.definition.checks import check
    from discover.definition.definition import load
    from discover.report.writing import whole_file

    check_new(path)
    if not reaction.parameters:
        raise InvalidInput("init", [Problem("there is nothing to vary: name reagents, a temperature or a time")])
    with whole_file(path, str(path)) as draft:
        draft.write_text(campaign_text(reaction, quote(path.name)), encoding="utf-8")
        check(load(draft))


def campaign_text(reaction: Reaction, file: str) -> str:
    """The campaign file as text, with what to do next in its first lines."""
    from discover.definition.yaml_lines import in_a_line

    rules = [f"one {name}" for name in reaction.one]
    molecules = any(parameter["kind"] == "substance" for parameter in reaction.parameters)
    lines = [
        "# Conditions of a reaction. The next plate, its sheet and its picture:",
        f"#   discover ask {file} --plate {_plate(reaction.wells)} -n {reaction.wells} --out plate.xlsx --picture plate.pdf",
        f"# Fill in {reaction.target} (or a status: failed, and why), and tell it:",
        f"#   discover tell {file} plate.xlsx",
        "# What cannot be combined goes under constraints, such as: temperature <= 78 if solvent == 'ethanol'",
        *([MOLECULES] if molecules else []),
        f"campaign: {in_a_line(reaction.name)}",
        "",
        f"objective: {in_a_line({'target': reaction.target, 'direction': 'maximize', 'unit': reaction.unit})}",
        "",
        "candidates:",
        "  kind: space",
        "  parameters:",
        *(f"    - {in_a_line(dict(parameter))}" for parameter in reaction.parameters),
        "  constraints: []",
        f"  batch_constraints: {in_a_line(rules)}",
        "",
        f"policy: {{kind: bayesian, batch: {reaction.wells}}}",
    ]
    if reaction.budget is not None:
        lines += ["", f"budget: {{experiments: {reaction.budget}}}"]
    return "\n".join([*lines, "seed: 0", ""])


def _plate(wells: int) -> int:
    return next((size for size in (24, 96, 384) if wells <= size), 384)


def _plain(text: str) -> int | float:
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)


def check_names(parameters: Sequence[Mapping[str, Any]], one: Sequence[str]) -> None:
    """InvalidInput where a parameter is named twice, or a plate is to have one value of none of them."""
    names = [str(parameter["name"]) for parameter in parameters]
    problems = [Problem("is named twice", value=name) for name in dict.fromkeys(names) if names.count(name) > 1]
    problems += [Problem("is no parameter", column="one", value=name) for name in one if name not in names]
    if problems:
        raise InvalidInput("init", problems)
