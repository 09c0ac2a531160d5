"""`result.json`, as a job leaves it, to a result: every number is checked, and none is made up."""

from __future__ import annotations

import hashlib
import json
import math
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from discover.experiment.command.processes import scrub
from discover.values import STATUSES, Result, Value

LARGEST = 20_000_000
"""Bytes of a result.json that are read."""
DEEPEST = 50
"""Levels of mappings and lists in one another that are kept."""
KEYS = ("values", "std", "bound", "units", "status", "reason", "cost", "retryable", "details", "fidelity", "context")


class HalfWritten(Exception):
    """The file is no whole JSON: it is being written, or its writer was cut off."""


class _Wrong(Exception):
    """Why a whole file is no result."""


def read_result(path: Path, targets: Mapping[str, str], *, retryable: bool) -> Result | None:
    """The result in a file; None where there is no file. HalfWritten.

    targets: names with their units. retryable: whether a failure may be tried again where the file does not say. A file
    that is whole and wrong is a failure in words. `raw` names the file and its hash.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # whoever opened a pipe would wait for its writer
            return Result("failed", reason="result.json is no ordinary file", retryable=retryable)
        if found.st_size > LARGEST:
            return Result("failed", reason=f"result.json has more than {LARGEST:,} bytes", retryable=retryable)
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HalfWritten(str(error)) from error
    try:
        body = json.loads(data.decode("utf-8-sig"), parse_constant=_not_a_number)
    except _Wrong as error:
        return _failed(path, data, str(error), retryable)
    except RecursionError:
        return _failed(path, data, "it is nested too deeply", retryable)
    except ValueError as error:
        raise HalfWritten(f"{type(error).__name__}: {error}") from error
    try:
        _check_kept(body)
        return _result(body, targets, retryable, _raw(path, data))
    except _Wrong as error:
        return _failed(path, data, str(error), retryable)


def _not_a_number(name: str) -> NoReturn:
    raise _Wrong(f"{name} is not a number that can be kept; leave the value out, and say status 'failed'")


def _check_kept(body: Any) -> None:
    """_Wrong where the body holds what a store cannot: it must not keep the results of others out of it."""
    level = [body]
    for _ in range(DEEPEST):
        level = [
            item
            for one in level
            if isinstance(one, (dict, list))
            for item in (one.values() if isinstance(one, dict) else one)
        ]
    if level:
        raise _Wrong("it is nested too deeply")
    try:
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise _Wrong("a text in it holds half of a character") from error
    except ValueError as error:
        raise _Wrong("a number in it is not finite") from error


def _failed(path: Path, data: bytes, reason: str, retryable: bool) -> Result:
    reason = f"result.json cannot be used: {scrub(reason)}"
    return Result("failed", reason=reason, retryable=retryable, raw=_raw(path, data))


def _raw(path: Path, data: bytes) -> dict[str, str]:
    return {"file": "/".join(path.parts[-3:]), "sha256": hashlib.sha256(data).hexdigest()}


def _result(body: Any, targets: Mapping[str, str], retryable: bool, raw: Mapping[str, str]) -> Result:
    if not isinstance(body, dict):
        raise _Wrong('it must be a mapping such as {"values": {"energy": -1.2}}')
    if strange := [key for key in body if key not in KEYS]:
        raise _Wrong(f"{strange[0]!r} means nothing here; the keys are {', '.join(KEYS)}")
    parts = {key: _mapping(body, key, targets) for key in ("values", "std", "bound", "units")}
    for name, unit in parts["units"].items():
        if unit != targets[name]:
            raise _Wrong(f"{name} is in {unit!r}, and {targets[name]!r} is expected")
    values = {
        name: _value(name, given, parts["std"].get(name), parts["bound"].get(name))
        for name, given in parts["values"].items()
        if given is not None
    }
    bounds = any(value.bound for value in values.values())
    status = body.get("status", "censored" if bounds else "measured" if values else None)
    reason = scrub(str(body.get("reason") or ""))
    if status is None:
        raise _Wrong("it has neither a value nor a status")
    if status not in STATUSES:
        raise _Wrong(f"the status is {status!r}; valid: {', '.join(STATUSES)}")
    if status in ("measured", "censored"):
        if not values:
            raise _Wrong(f"the status is {status!r}, but there is no value")
        if (status == "censored") != bounds:
            raise _Wrong("the status 'censored' and a bound ('below' or 'above') belong together")
    elif values:
        raise _Wrong(f"the status is {status!r}, and yet there are values")
    details, context = (_plain_mapping(body, key) for key in ("details", "context"))
    again = body.get("retryable", retryable)
    if not isinstance(again, bool):
        raise _Wrong(f"retryable must be true or false, not {again!r}")
    return Result(
        status, values, reason or ("" if values else str(status)), status == "failed" and again,
        _cost(body.get("cost")), details=details, raw=raw, fidelity=_fidelity(body.get("fidelity")), context=context,
    )  # fmt: skip


def _plain_mapping(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = body.get(key) or {}
    if not isinstance(found, dict):
        raise _Wrong(f"{key} must be a mapping")
    return found


def _fidelity(given: Any) -> str:
    """A fidelity as `tell` reads it: a text; a whole number is the text that tells it."""
    if given is None:
        return ""
    if isinstance(given, bool) or not isinstance(given, (str, int, float)):
        raise _Wrong(f"fidelity must be a text, not {str(given)[:60]!r}")
    number = isinstance(given, float) and given.is_integer()
    return scrub(str(int(given) if number else given).strip())


def _mapping(body: Mapping[str, Any], key: str, targets: Mapping[str, str]) -> Mapping[str, Any]:
    found = body.get(key) or {}
    if not isinstance(found, dict):
        raise _Wrong(f"{key} must be a mapping by target")
    if strange := [name for name in found if name not in targets]:
        raise _Wrong(f"{key} has {strange[0]!r}, which is not among the targets {', '.join(targets)}")
    return found


def _number(what: str, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise _Wrong(f"{what} is {str(given)[:60]!r}, not a number")
    try:
        number = float(given)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _Wrong(f"{what} is not finite")
    return number


def _value(name: str, given: Any, std: Any, bound: Any) -> Value:
    if bound not in (None, "below", "above"):
        raise _Wrong(f"the bound of {name} is {bound!r}; valid: 'below' (the truth is at most the value), 'above'")
    spread = None if std is None else _number(f"the standard deviation of {name}", std)
    if spread is not None and spread < 0:
        raise _Wrong(f"the standard deviation of {name} is negative")
    return Value(_number(name, given), spread, bound)


def _cost(given: Any) -> float | None:
    cost = None if given is None else _number("the cost", given)
    if cost is not None and cost < 0:
        raise _Wrong("the cost is negative")
    return cost
