"""`discover init`: a campaign file from questions and answers."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from discover.cli.app import command
from discover.errors import InvalidInput

TEMPERATURE = "20 to 120 step 5"
TIME = "1 to 24 step 1"


class What(StrEnum):
    """What a campaign can be begun about."""

    reaction = "reaction"


@command()
def init(
    what: Annotated[What, typer.Argument(help="what is to be found: conditions of a reaction")],
    file: Annotated[Path, typer.Argument(help="the campaign file to write; never one that exists")] = Path(
        "reaction.yaml"
    ),
    name: Annotated[str | None, typer.Option(help="the campaign's name; default: the file's")] = None,
    target: Annotated[str | None, typer.Option(help="what is measured, and is to be large")] = None,
    unit: Annotated[str, typer.Option(help="its unit")] = "%",
    reagents: Annotated[
        list[str] | None,
        typer.Option(help="a choice of reagents, 'base: KOH, K3PO4' or 'ligand: PPh3=SMILES, …'; may be repeated"),
    ] = None,
    temperature: Annotated[
        str | None, typer.Option(help="in degC: '20 to 120 step 5' or '20, 60, 100'; 'none' if it is not varied")
    ] = None,
    time: Annotated[str | None, typer.Option(help="in h, in the same way; 'none' if it is not varied")] = None,
    number: Annotated[
        list[str] | None, typer.Option(help="a further number, 'loading [mol%]: 1, 2, 5'; may be repeated")
    ] = None,
    one: Annotated[
        list[str] | None, typer.Option(help="a parameter of which a plate has one value; may be repeated")
    ] = None,
    wells: Annotated[int | None, typer.Option(min=1, max=384, help="experiments in a batch")] = None,
    budget: Annotated[int | None, typer.Option(min=1, help="experiments in all")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="ask nothing: what is not given is as by default")] = False,
) -> None:
    """Write a campaign file for the conditions of a reaction, from questions or from options.

    Example: discover init reaction arylation.yaml
    """
    from discover.definition.starting import Reaction, check_names, check_new, named_numbers, numbers, write_reaction
    from discover.definition.starting import reagents as read_reagents

    check_new(file)  # before anything is asked
    ask = _Asking(yes)
    target = target or ask.text("What is measured, and is to be large?", "yield")
    chosen = [read_reagents(text) for text in reagents or ()]
    if reagents is None:
        chosen = ask.several(
            "A choice of reagents ('base: KOH, K3PO4'; with SMILES 'ligand: PPh3=…, PCy3=…'); empty: no more",
            read_reagents,
        )
    for key, given, question, default, in_unit in (
        (
            "temperature",
            temperature,
            "Temperatures in degC ('20 to 120 step 5', '20, 60' or none)",
            TEMPERATURE,
            "degC",
        ),
        ("time", time, "Times in h", TIME, "h"),
    ):
        found = _maybe(numbers, key, given, in_unit) if given else ask.one(question, default, key, in_unit)
        chosen += [found] if found else []
    further = [named_numbers(text) for text in number or ()]
    if number is None:
        further = ask.several("A further number ('equivalents: 1 to 3 step 0.1'); empty: no more", named_numbers)
    chosen += further
    wells = wells or int(ask.text("Experiments in a batch (wells of a plate)?", "24"))
    if one is None and any(parameter["name"] == "temperature" for parameter in chosen):
        one = ["temperature"] if ask.yes("Do all wells of a plate have one temperature?") else []
    check_names(chosen, one or [])
    write_reaction(Reaction(name or file.stem, target, unit, tuple(chosen), tuple(one or ()), wells, budget), file)
    typer.echo(f"{file} is written; look at it, and add what cannot be combined under constraints. Then:")
    plate = next(size for size in (24, 96, 384) if wells <= size)
    typer.echo(f"  discover ask {file} --plate {plate} -n {wells} --out plate.xlsx --picture plate.pdf")
    typer.echo(f"  fill in {target}, and: discover tell {file} plate.xlsx")


class _Asking:
    """Questions on the terminal; none of them where all is as by default."""

    def __init__(self, silent: bool) -> None:
        self.silent = silent

    def text(self, question: str, default: str) -> str:
        """An answer, or the default."""
        return default if self.silent else str(typer.prompt(question, default=default))

    def yes(self, question: str) -> bool:
        """Whether it is so; by default it is not."""
        return False if self.silent else typer.confirm(question, default=False)

    def one(self, question: str, default: str, key: str, unit: str) -> dict[str, Any] | None:
        """Numbers, asked for until they can be read."""
        from discover.definition.starting import numbers

        while True:
            try:
                return _maybe(numbers, key, self.text(question, default), unit)
            except InvalidInput as error:
                typer.echo(str(error), err=True)

    def several(self, question: str, read: Callable[[str], dict[str, Any]]) -> list[dict[str, Any]]:
        """Answers until an empty one; what cannot be read is asked for again."""
        found: list[dict[str, Any]] = []
        while not self.silent:
            text = str(typer.prompt(question, default="", show_default=False)).strip()
            if not text:
                break
            try:
                found.append(read(text))
            except InvalidInput as error:
                typer.echo(str(error), err=True)
        return found


def _maybe(read: Callable[[str, str, str], dict[str, Any]], key: str, text: str, unit: str) -> dict[str, Any] | None:
    return None if text.strip().lower() == "none" else read(key, text, unit)
