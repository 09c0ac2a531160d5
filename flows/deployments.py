"""Campaign files as deployments: registered once, then run on a schedule by any worker.

A deployment has no concurrency limit in Prefect: the store's lease keeps two runs of a campaign apart, on all machines and
without a server. Prefect's own limit would be the weaker of the two and costs something: its lease is renewed every 225 s,
and a run whose renewal fails, for the server is being restarted, is ended in the middle of its experiment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discover.definition import load
from discover.definition.checks import check
from discover.errors import DiscoverError, InvalidInput, Problem
from discover.store.database.places import parse, path_of, shown
from flows import environment
from flows.temporary_server import ServerFailed, check_server
from flows.timing import Timing, read_timing

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

POOL = "discover"
"""The work pool, of type process: its workers start each run as a process of their own."""
START_SERVER = "start one with: discover server"


class NotDeployed(DiscoverError):
    """There is no deployment of that campaign file."""


def deploy(
    file: Path,
    *,
    cron: str | None = None,
    interval: str | None = None,
    timezone: str = "UTC",
    store: str | None = None,
    name: str | None = None,
    paused: bool = False,
    accept_changes: bool = False,
    dask: str | None = None,
    say: Callable[[str], object] = print,
) -> None:
    """Run one iteration of a campaign file on a schedule; deploying again replaces the schedule.

    Everything is checked before anything is registered: InvalidInput, InvalidDefinition, ServerFailed.
    """
    environment.prepare()
    timing = read_timing(cron, interval, timezone)
    definition = load(file)
    check(definition)
    path = definition.path.resolve()
    name = name or definition.name
    kept = _kept_store(definition.store, store)
    with _client() as client:
        _check_name(client, name, path)
        _pool(client)
        from flows.automations import heartbeat, install

        install(client, heartbeat())
        _register(name, timing, {"file": str(path), "store": kept, "accept_changes": accept_changes}, paused, dask)
    times = ", ".join(f"{t:%Y-%m-%d %H:%M:%S %Z}" for t in timing.next_times(3))
    say(f"deployed iterate/{name}: {timing}" + (", paused" if paused else f"; next runs {times}"))
    say("a worker runs it: discover worker")


def remove(file: Path, *, name: str | None = None, say: Callable[[str], object] = print) -> None:
    """Take a campaign file off its schedule. Its store stays, and a run that is under way goes on to its end."""
    environment.prepare()
    path = str(file.resolve())
    with _client() as client:
        deployments = _deployments(client)
        gone = [d for d in deployments if d.parameters.get("file") == path and name in (None, d.name)]
        if not gone:
            known = "; ".join(f"{d.name} ({d.parameters.get('file')})" for d in deployments) or "none"
            raise NotDeployed(f"{path} is not deployed{f' as {name!r}' if name else ''}; deployed are: {known}")
        for deployment in gone:
            client.delete_deployment(deployment.id)
            say(f"removed iterate/{deployment.name}; its store stays")
        if len(gone) == len(deployments):
            from flows.automations import HEARTBEAT, uninstall

            uninstall(client, HEARTBEAT)


def notify(url: str | None, *, say: Callable[[str], object] = print) -> None:
    """Send failed and crashed runs to a webhook; None ends that. The address is a secret and is kept by Prefect, encrypted."""
    environment.prepare()
    if url is not None and not url.startswith(("https://", "http://")):
        raise InvalidInput(
            "notify", [Problem("is no web address", value=url, way_out="such as https://hooks.example.org/…")]
        )
    with _client() as client:
        from prefect.blocks.webhook import Webhook
        from pydantic import SecretStr

        from flows import automations

        if url is None:
            found = automations.uninstall(client, automations.NOTIFY)
            say("nobody is told of failures any more" if found else "nobody was told of failures")
            return
        block = Webhook(method="POST", url=SecretStr(url)).save(automations.HOOK, overwrite=True)
        automations.install(client, automations.notify(block))
        say("failed and crashed runs are sent to the webhook")


def _kept_store(declared: str, given: str | None) -> str | None:
    """The store's URL as the deployment keeps it: absolute, without a password. None: as the file says at every run."""
    told = given or declared
    url = parse(told)
    if shown(told) != told:
        if given is None:
            return None  # it stands in the file, which each run reads
        hint = "leave it out here; give it to the worker as PGPASSWORD or in ~/.pgpass, or name the store in the campaign file"
        raise InvalidInput(
            "--store", [Problem("holds a password, which a deployment must not", value=shown(told), way_out=hint)]
        )
    if url.get_backend_name() != "sqlite":
        return told
    path = path_of(told)
    if path is None:
        raise InvalidInput("--store", [Problem("is a store in memory, and ends with every run", value=told)])
    return f"sqlite:///{path}"


@contextmanager
def _client() -> Iterator[SyncPrefectClient]:
    """A client of the user's server; what it refuses is said in words."""
    check_server(environment.user_server(), START_SERVER)
    from httpx import HTTPError
    from prefect.client.orchestration import get_client

    try:
        with get_client(sync_client=True) as client:
            yield client
    except HTTPError as error:
        raise ServerFailed(f"the Prefect server at {environment.user_server()} refused: {error}") from error


def _deployments(client: SyncPrefectClient) -> list[Any]:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

    from flows.automations import TAG

    found: list[Any] = []
    ours = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
    while page := client.read_deployments(deployment_filter=ours, limit=100, offset=len(found)):
        found += page
    return found


def _check_name(client: SyncPrefectClient, name: str, path: Path) -> None:
    for deployment in _deployments(client):
        other = deployment.parameters.get("file")
        if deployment.name == name and other != str(path):
            hint = f"give this one another --name, or remove that one: discover deploy {other} --remove"
            raise InvalidInput("deployment", [Problem(f"the name belongs to {other}", value=name, way_out=hint)])


def _pool(client: SyncPrefectClient) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    try:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    except ObjectAlreadyExists:
        found = client.read_work_pool(POOL)
        if found.type != "process":
            raise InvalidInput(
                "work pool",
                [
                    Problem(
                        f"there is one of type {found.type!r}; it must be 'process'",
                        value=POOL,
                        way_out="rename that one",
                    )
                ],
            ) from None


def _register(name: str, timing: Timing, parameters: dict[str, Any], paused: bool, dask: str | None) -> None:
    from prefect.deployments.runner import EntrypointType
    from prefect.schedules import Cron, Interval

    from flows.automations import BEAT_SECONDS, TAG
    from flows.iterate import iterate

    variables = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(BEAT_SECONDS)} | ({"DISCOVER_DASK": dask} if dask else {})
    schedule = (
        Cron(timing.cron, timezone=timing.timezone)
        if timing.cron
        else Interval(timing.interval or 0, timezone=timing.timezone)
    )
    deployment: Any = iterate.to_deployment(
        name=name,
        schedules=[schedule],
        parameters=parameters,
        tags=[TAG],
        paused=paused,
        description=f"One iteration of {parameters['file']} at a time: collect, learn, propose, dispatch, stop.",
        entrypoint_type=EntrypointType.MODULE_PATH,
        job_variables={"env": variables},
    )
    deployment.apply(work_pool_name=POOL)


def wait_for_server(seconds: float) -> None:
    """Return when the user's server answers; ServerFailed after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        try:
            check_server(environment.user_server(), START_SERVER)
            return
        except ServerFailed:
            if time.monotonic() > end:
                raise
            time.sleep(1)
