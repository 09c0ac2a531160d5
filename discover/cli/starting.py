"""`discover init`: a campaign file from questions and answers."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import Annotated, Any, TypeVar

import typer

from discover.cli.app import command
from discover.cli.output import for_a_terminal
from discover.errors import InvalidInput, Problem

T = TypeVar("T")
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
    from discover.definition import starting as read

    read.check_new(file)  # before anything is asked
    ask = _Asking(yes)
    target = (
        read.check_target(target, unit)
        if target
        else ask.until("What is measured, and is to be large?", "yield", lambda text: read.check_target(text, unit))
    )
    ask.taken.add(target)
    chosen = [read.reagents(text) for text in reagents or ()]
    if reagents is None:
        chosen = ask.several(
            "A choice of reagents ('base: KOH, K3PO4'; with SMILES 'ligand: PPh3=…, PCy3=…'); empty: no more",
            read.reagents,
        )
    degrees = "Temperatures in degC ('20 to 120 step 5', '20, 60' or none)"
    chosen += ask.number("temperature", temperature, degrees, TEMPERATURE, "degC")
    chosen += ask.number("time", time, "Times in h", TIME, "h")
    chosen += (
        ask.several("A further number ('equivalents: 1 to 3 step 0.1'); empty: no more", read.named_numbers)
        if number is None
        else [read.named_numbers(text) for text in number]
    )
    wells = wells or ask.until("Experiments in a batch (wells of a plate)?", "24", read.check_wells)
    if one is None and any(parameter["name"] == "temperature" for parameter in chosen):
        one = ["temperature"] if ask.yes("Do all wells of a plate have one temperature?") else []
    read.check_names(chosen, one or [])
    reaction = read.Reaction(name or file.stem, target, unit, tuple(chosen), tuple(one or ()), wells, budget)
    read.write_reaction(reaction, file)
    typer.echo(f"{file} is written; look at it, and add what cannot be combined under constraints. Then:")
    plate = next(size for size in (24, 96, 384) if wells <= size)
    typer.echo(f"  discover ask {quote(str(file))} --plate {plate} -n {wells} --out plate.xlsx --picture plate.pdf")
    typer.echo(f"  fill in {target}, and: discover tell {quote(str(file))} plate.xlsx")


class _Asking:
    """Questions on the terminal; none of them where all is as by default."""

    def __init__(self, silent: bool) -> None:
        self.silent = silent
        self.taken: set[str] = set()

    def until(self, question: str, default: str, read: Callable[[str], T]) -> T:
        """An answer, asked for until it can be read; or the default."""
        while True:
            try:
                return read(
                    default if self.silent else str(typer.prompt(question, default=default, show_default=bool(default)))
                )
            except InvalidInput as error:
                if self.silent:
                    raise
                typer.echo(for_a_terminal(str(error)), err=True)

    def yes(self, question: str) -> bool:
        """Whether it is so; by default it is not."""
        return False if self.silent else typer.confirm(question, default=False)

    def number(self, key: str, given: str | None, question: str, default: str, unit: str) -> list[dict[str, Any]]:
        """A parameter of numbers, from an option or from an answer; nothing where it is not varied."""
        from discover.definition.starting import numbers

        def read(text: str) -> list[dict[str, Any]]:
            return [] if text.strip().lower() == "none" else [self._new(numbers(key, text, unit))]

        return read(given) if given else self.until(question, default, read)

    def several(self, question: str, read: Callable[[str], dict[str, Any]]) -> list[dict[str, Any]]:
        """Answers until an empty one; what cannot be read is asked for again."""

        def answer(text: str) -> list[dict[str, Any]]:
            return [self._new(read(text))] if text.strip() else []

        found: list[dict[str, Any]] = []
        while not self.silent and (more := self.until(question, "", answer)):
            found += more
        return found

    def _new(self, parameter: dict[str, Any]) -> dict[str, Any]:
        """The parameter. InvalidInput where its name stands already."""
        if parameter["name"] in self.taken:
            raise InvalidInput("init", [Problem("is named twice", value=parameter["name"])])
        self.taken.add(parameter["name"])
        return parameter
