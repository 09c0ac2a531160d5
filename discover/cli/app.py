"""The command line's ground: the application, options that commands share, and how an error is said."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from discover import registry
from discover.cli.output import for_a_terminal, notices, progress
from discover.errors import DiscoverError, UnknownKind

if TYPE_CHECKING:
    from discover.campaign import Campaign
    from discover.definition import Definition

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Let a machine choose the next calculation or experiment, learn from the result, and choose again.\n\n"
    "Begin with: discover validate campaigns/stiff-materials.yaml",
)

File = Annotated[Path, typer.Argument(help="a campaign file (YAML)")]
Store = Annotated[
    str | None,
    typer.Option(
        "--store", envvar="DISCOVER_STORE", help="a store's URL; default: the file's, or .discover/ beside it"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
Dask = Annotated[
    str | None,
    typer.Option("--dask", envvar="DISCOVER_DASK", help="run experiments on this Dask cluster: tcp://scheduler:8786"),
]
Accept = Annotated[
    bool, typer.Option("--accept-changes", help="take over a changed budget, batch, policy, title or text")
]


def command(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command whose own errors become one message and exit code 1, and Ctrl-C exit code 130."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> None:
            try:
                function(*args, **kwargs)
            except DiscoverError as error:
                typer.echo(f"error: {for_a_terminal(str(error))}", err=True)
                raise typer.Exit(1) from error
            except KeyboardInterrupt as error:
                typer.echo("stopped; the next run goes on from here", err=True)
                raise typer.Exit(130) from error

        app.command(*names)(call)
        return function

    return register


def open_campaign(
    file: Path, store: str | None, *, create: bool = False, changes: Literal["refuse", "accept", "note"] = "note"
) -> Campaign:
    """The campaign of a file. Whoever only looks is told of a changed file, and is not refused."""
    from discover.definition import load

    definition: Definition = load(file)
    with notices(), progress("candidates") as show:
        return definition.open(store, create=create, changes=changes, progress=show)


def runner(name: str) -> Any:
    """The function that the installed flows offer under this name."""
    if name not in registry.kinds(registry.RUNNERS):
        raise UnknownKind(
            f"no runner {name!r} is installed: install the project with its flows (pip install discover-loop)"
        )
    return registry.load(registry.RUNNERS, name)
