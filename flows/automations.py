"""What the Prefect server does by itself: mark runs that died with their machine, and tell somebody of failures.

Both are for the eye. The campaign needs neither: a dead run's lease ends by itself, and the next run starts from the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.schemas.automations import AutomationCore

TAG = "discover"
"""On every deployment of ours, and so on each of its runs."""
HEARTBEAT = "discover: mark runs without a heartbeat as crashed"
NOTIFY = "discover: tell of failed and crashed runs"
HOOK = "discover-notify"
BEAT_SECONDS = 30
"""Prefect's shortest. Its own choice of 180 s would have every run of more than `SILENCE_SECONDS` taken for dead."""
SILENCE_SECONDS = 300
"""Long enough for a server to be restarted meanwhile; nothing waits for it but the eye."""
TROUBLE = ("Failed", "Crashed", "TimedOut")
PAYLOAD = '{"text": {{ (flow_run.name ~ ": " ~ flow_run.state.name ~ ". " ~ flow_run.state.message) | tojson }}}'


def heartbeat(silence: float = SILENCE_SECONDS, tag: str = TAG) -> AutomationCore:
    """After a heartbeat, any event of the same run is expected in time: another heartbeat, or its end by whatever name."""
    from datetime import timedelta

    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    return AutomationCore(
        name=HEARTBEAT,
        description="A run whose machine or process died without a word. Its campaign goes on with the next run.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.*"},
            match=_runs(),
            match_related=_tagged(tag),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=silence),
        ),
        actions=[
            ChangeFlowRunState(
                name=None,
                force=False,
                state=StateType.CRASHED,
                message=f"no heartbeat for {silence:g} s: the process or its machine is gone; the next run goes on "
                "from the store",
            )
        ],
    )


def notify(block_id: Any) -> AutomationCore:
    """Call a webhook for every run of ours that failed or crashed."""
    from datetime import timedelta

    from prefect.events.actions import CallWebhook
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    return AutomationCore(
        name=NOTIFY,
        description="Remove with: discover notify --remove",
        trigger=EventTrigger(
            expect={f"prefect.flow-run.{name}" for name in TROUBLE},
            match=_runs(),
            match_related=_tagged(TAG),
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[CallWebhook(block_document_id=block_id, payload=PAYLOAD)],
    )


def install(client: SyncPrefectClient, automation: AutomationCore) -> None:
    """Create it, or bring the one of its name up to date; doubles are removed."""
    first, *doubles = [*client.read_automations_by_name(automation.name), None]
    if first is None:
        client.create_automation(automation)
        return
    client.update_automation(first.id, automation)
    for double in doubles:
        if double is not None:
            client.delete_automation(double.id)


def uninstall(client: SyncPrefectClient, name: str) -> bool:
    """Whether there was one."""
    found = client.read_automations_by_name(name)
    for automation in found:
        client.delete_automation(automation.id)
    return bool(found)


def _runs() -> Any:
    from prefect.events.schemas.events import ResourceSpecification

    return ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"})


def _tagged(tag: str) -> Any:
    from prefect.events.schemas.events import ResourceSpecification

    return ResourceSpecification({"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"})
