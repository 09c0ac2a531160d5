"""Text in sheets: nothing that a spreadsheet would calculate, and the same text again when it is read."""

from __future__ import annotations

import re

_ACTIVE = re.compile(r"'*[=+\-@\t\r]")
_PASSIVE = re.compile(r"'+[=+\-@\t\r]")
_CODE_LIKE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]")
_CODE = re.compile(r"_x(?![Dd][89A-Fa-f])([0-9A-Fa-f]{4})_")
"""Halves of characters stay as they are spelt: no text can hold one."""


def csv_escaped(text: str) -> str:
    """Text for a CSV cell: what a spreadsheet would take for a formula gets an apostrophe before it."""
    return f"'{text}" if _ACTIVE.match(text) else text


def csv_plain(text: str) -> str:
    """Inverse of `csv_escaped`."""
    return text[1:] if _PASSIVE.match(text) else text


def excel_escaped(text: str) -> str:
    """Text for the XML of a workbook, where control characters are written as `_x0001_`."""
    return _UNPRINTABLE.sub(lambda m: f"_x{ord(m[0]):04X}_", _CODE_LIKE.sub("_x005F_", text))


def excel_plain(text: str) -> str:
    """Inverse of `excel_escaped`."""
    return _CODE.sub(lambda m: chr(int(m[1], 16)), text)
