"""Numbers as people write them: '55,1', '1 234.5', '< 5 %'. What could mean two things is refused with both."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Literal

from discover.experiment.laboratory.units import same_unit

Decimal = Literal["auto", ".", ","]
SIDES = {"<": "below", "≤": "below", "<=": "below", ">": "above", "≥": "above", ">=": "above"}
EMPTY = frozenset({"", "-", "–", "—", "/", "n/a", "na", "n.a.", "nan", "none", "null", "tbd", "pending", "open"})
"""What people write into a cell that is still empty."""
_UNCLEAR = frozenset({"nd", "n.d.", "n.d", "n/d", "not detected", "lod", "bdl", "b.d.l.", "<lod", "< lod"})
_GROUP = "'’\u00a0\u202f\u2009"
_SHAPE = re.compile(
    rf"(?P<side><=|>=|[<>≤≥])?\s*(?P<number>[+-]?[0-9.,{_GROUP}]*[0-9](?:[eE][+-]?[0-9]{{1,3}})?)\s*(?P<unit>.*)",
    re.DOTALL,
)
_GROUPED = re.compile(rf"[1-9][0-9]{{0,2}}(?:[{_GROUP}][0-9]{{3}})+(?:[.,][0-9]+)?")
_PLAIN = re.compile(r"[0-9]+|[0-9]*[.,][0-9]+")
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")
_MANY = {mark: re.compile(rf"[1-9][0-9]{{0,2}}(?:[{mark}][0-9]{{3}})+") for mark in ".,"}


class Unreadable(Exception):
    """Why a cell is not the number or the time that it should be; the second text is the way out."""

    def __init__(self, reason: str, way_out: str = ""):
        self.way_out = way_out
        super().__init__(reason)


@dataclass(frozen=True)
class Odd:
    """A cell that a spreadsheet shows and that cannot be taken: `reason` says why; `value` is what stands there."""

    reason: str
    value: Any = None


class Percent(float):
    """A number that its sheet shows as a percentage: 0.551, seen as 55.1 %."""


def is_empty(cell: Any) -> bool:
    """Whether nothing was filled in."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return True
    return isinstance(cell, str) and cell.strip().casefold() in EMPTY


def marks(cells: Iterable[Any], decimal: Decimal) -> frozenset[str]:
    """Decimal marks that a column certainly uses: what its unambiguous cells show, or what was stated."""
    if decimal != "auto":
        return frozenset(decimal)
    found: set[str] = set()
    for cell in cells:
        match = _SHAPE.fullmatch(_tidy(cell)) if isinstance(cell, str) else None
        if match:
            body = re.split("[eE]", match["number"].lstrip("+-"))[0]
            last = max(body.rfind("."), body.rfind(","))
            one_mark = last >= 0 and (sum(c in ".," for c in body) == 1 or body[last] not in body[:last])
            if one_mark and not _THOUSANDS.fullmatch(body):
                found.add(body[last])
    return frozenset(found)


def number(cell: Any, unit: str, used: frozenset[str], decimal: Decimal) -> tuple[float, str | None]:
    """A cell's number in the target's unit, and the side of a bound ('below', 'above') or None. Unreadable.

    used: the decimal marks that the cell's column certainly uses, as `marks` found them.
    """
    if isinstance(cell, Odd):
        raise Unreadable(cell.reason, "write the number itself")
    if isinstance(cell, bool):
        raise Unreadable("not a number")
    if isinstance(cell, Percent):
        return _percent(cell, unit), None
    if isinstance(cell, (int, float)):
        return _finite(float(cell)), None
    if isinstance(cell, (date, time)):
        shown = cell.isoformat()
        hint = "give the cell the format 'number' or 'text' and write the number again"
        raise Unreadable(f"the spreadsheet made a date or a time of it ({shown})", hint)
    return _text(str(cell), unit, used, decimal)


def _percent(cell: Percent, unit: str) -> float:
    if same_unit(unit, "%"):
        return _finite(float(f"{float(cell) * 100:.15g}"))
    if same_unit(unit, ""):
        return _finite(float(cell))
    raise Unreadable(f"the cell shows a percentage, and the unit is {unit}", "give the cell the format 'number'")


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise Unreadable("not a finite number")
    return value


def _tidy(text: str) -> str:
    return text.strip().replace("−", "-")


def _text(text: str, unit: str, used: frozenset[str], decimal: Decimal) -> tuple[float, str | None]:
    tidy = _tidy(text)
    if tidy.casefold() in _UNCLEAR:
        hint = "leave the cell empty if it was not determined; write '<' and the limit if it was not detected"
        raise Unreadable("may mean 'not detected' or 'not determined'", hint)
    match = _SHAPE.fullmatch(tidy)
    if match is None:
        raise Unreadable("not a number", _hint(tidy))
    if match["unit"] and not (unit and same_unit(match["unit"], unit)):
        raise Unreadable(f"not a number in {unit}" if unit else "not a number", _hint(tidy))
    mantissa, *power = re.split("[eE]", match["number"].lstrip("+-"))
    sign = "-" if match["number"].startswith("-") else ""
    value = _finite(float(f"{sign}{_mantissa(mantissa, used, decimal)}{'e' + power[0] if power else ''}"))
    return value, SIDES.get(match["side"] or "")


def _hint(text: str) -> str:
    if "±" in text or "+/-" in text:
        return "write the deviation into the column that ends in _std"
    if text[:1] in "~≈":
        return "write the number, and its uncertainty into the column that ends in _std"
    if text.startswith("="):
        return "formulas are not calculated; write the number itself"
    return "write the number alone; a remark goes into the column 'note'"


def _mantissa(body: str, used: frozenset[str], decimal: Decimal) -> str:
    """The digits with a decimal point and without separators of thousands."""
    if any(mark in body for mark in _GROUP):
        if not _GROUPED.fullmatch(body):
            raise Unreadable("not a number", "write it without separators of thousands")
        return re.sub(f"[{_GROUP}]", "", body).replace(",", ".")
    if _THOUSANDS.fullmatch(body):
        return _one_or_thousand(body, used, decimal)
    if _PLAIN.fullmatch(body):
        if decimal != "auto" and ("," if decimal == "." else ".") in body:
            raise Unreadable("not a number", f"the campaign file says that the decimal mark is '{decimal}'")
        return body.replace(",", ".")
    last = max(body.rfind("."), body.rfind(","))
    mark, other = body[last], "." if body[last] == "," else ","
    if _MANY[mark].fullmatch(body):  # 1,234,567
        return body.replace(mark, "")
    whole, rest = body[:last], body[last + 1 :]
    if _MANY[other].fullmatch(whole) and rest.isdigit() and (decimal in ("auto", mark)):  # 1.234,5
        return f"{whole.replace(other, '')}.{rest}"
    raise Unreadable("not a number", "write it without separators of thousands")


def _one_or_thousand(body: str, used: frozenset[str], decimal: Decimal) -> str:
    """'1,234' and '1.234' by what the rest of the column shows; without any, a point is a decimal point."""
    mark = "," if "," in body else "."
    if decimal != "auto":
        return body.replace(mark, "." if mark == decimal else "")
    if used == {mark} or (mark == "." and not used):
        return body.replace(mark, ".")
    one, thousand = body.replace(mark, "."), body.replace(mark, "")
    raise Unreadable(f"may mean {one} or {thousand}", f"write {one}0 or {thousand}")


def moment(cell: Any) -> str:
    """A time as ISO text. Unreadable where day and month may be exchanged."""
    if isinstance(cell, (datetime, date)):
        return cell.isoformat()
    text = str(cell.value if isinstance(cell, Odd) else cell).strip()
    german = re.fullmatch(
        r"([0-3]?[0-9])\.([01]?[0-9])\.([0-9]{4})(?:[ ,T]+([0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?))?", text
    )
    try:
        if german:
            day = date(int(german[3]), int(german[2]), int(german[1])).isoformat()
            return datetime.fromisoformat(f"{day}T{german[4].zfill(5 if len(german[4]) < 6 else 8)}" if german[4] else day).isoformat()  # fmt: skip
        if isinstance(cell, str):
            return datetime.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise Unreadable("not a time", "write it like 2026-01-31 or 2026-01-31T14:30")


def shown(cell: Any) -> str:
    """A cell as text that is read as the same cell again."""
    if cell is None:
        return ""
    if isinstance(cell, Odd):
        return shown(cell.value)
    if isinstance(cell, Percent):
        return f"{float(cell) * 100:.15g} %"
    if isinstance(cell, float):
        text = repr(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
        return f"{text}0" if _THOUSANDS.fullmatch(text.lstrip("-")) else text  # 1.2340 cannot mean 1234
    if isinstance(cell, (date, time)):
        return cell.isoformat()
    return str(cell)
