"""What pydantic found wrong, in plain words and with the way out where the words alone show it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from discover.errors import nearest

_WHOLE, _NUMBER, _TRUTH = "must be a whole number", "must be a number", "must be true or false"
_MESSAGES = {
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "finite_number": "must be a finite number",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "missing": "is required",
    "extra_forbidden": "unknown key",
    "literal_error": "unknown choice",
    "invalid_key": "keys must be text",
}


def message_of(item: Mapping[str, Any]) -> str:
    """One of pydantic's errors in a few words."""
    sort, limits = str(item["type"]), item.get("ctx", {})
    if sort == "greater_than_equal":
        return f"must be at least {limits['ge']}"
    if sort in ("too_short", "too_long"):
        least, most = limits.get("min_length"), limits.get("max_length")
        return f"must have at least {least}" if least is not None else f"must have at most {most}"
    return _MESSAGES.get(sort, str(item["msg"]).removeprefix("Value error, "))


def way_out_of(item: Mapping[str, Any]) -> str:
    """What to write instead, where the error itself says it."""
    sort, value = str(item["type"]), item["input"]
    if sort == "literal_error":
        return nearest(str(value), re.findall(r"'([^']*)'", str(item.get("ctx", {}).get("expected", ""))))
    if sort == "list_type" and isinstance(value, (str, int, float)):
        return f"write [{value}]"
    if sort == "string_type" and isinstance(value, (bool, int, float)):
        return f'write "{value}" for a text'
    return ""
