"""The JSON Schema of campaign files, for editors."""

from __future__ import annotations

import inspect
from typing import Any

from discover import registry
from discover.campaign import terms
from discover.definition.model import CampaignModel


def schema() -> dict[str, Any]:
    """The JSON Schema of campaign files, with the options of every installed kind, for editors."""
    from pydantic import TypeAdapter

    body = CampaignModel.model_json_schema()
    groups = {"candidates": registry.SOURCES, "policy": registry.POLICIES, "experiment": registry.EXPERIMENTS}
    for key, group in groups.items():
        choices = []
        for kind in registry.kinds(group):
            cls = registry.load(group, kind)
            known = {field.name for field in registry.options(cls)}
            found = TypeAdapter(cls).json_schema()
            body.setdefault("$defs", {}).update(found.pop("$defs", {}))
            properties = {name: part for name, part in found.get("properties", {}).items() if name in known}
            if key == "policy":
                properties |= terms.SCHEMA
            choices.append(
                {
                    "type": "object",
                    "title": kind,
                    "description": (inspect.getdoc(cls) or "").split("\n\n")[0],
                    "properties": {"kind": {"const": kind}, **properties},
                    "required": ["kind", *(name for name in found.get("required", ()) if name in known)],
                    "additionalProperties": False,
                }
            )
        body["properties"][key] = {"oneOf": choices}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body, "title": "discover campaign"}
