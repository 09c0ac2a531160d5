"""Whether two spellings are of the same unit. Nothing is converted: another unit is refused."""

from __future__ import annotations

import re
import unicodedata

_WORDS = {
    "percent": "%", "per cent": "%", "pct": "%", "prozent": "%",
    "degc": "°C", "deg c": "°C", "celsius": "°C", "° c": "°C", "degree celsius": "°C", "degrees celsius": "°C",
    "hour": "h", "hours": "h", "hr": "h", "hrs": "h", "minute": "min", "minutes": "min",
    "sec": "s", "second": "s", "seconds": "s", "day": "d", "days": "d", "kelvin": "K",
    "angstrom": "Å", "ångström": "Å", "angström": "Å", "electronvolt": "eV", "electron volt": "eV",
    "gigapascal": "GPa", "megapascal": "MPa", "pascal": "Pa",
    "dimensionless": "", "unitless": "", "-": "", "1": "",
}  # fmt: skip


def unit_key(text: str) -> str:
    """One text for all spellings of a unit that are known to mean the same; upper and lower case stay apart (mPa, MPa)."""
    plain = unicodedata.normalize("NFKC", text).replace("−", "-").strip()
    if plain.casefold() in _WORDS:
        return _WORDS[plain.casefold()]
    plain = re.sub(r"\s+per\s+", "/", plain)
    plain = re.sub(r"[·⋅*\s]+", "·", plain).replace("^", "")
    plain = re.sub(r"·?/·?", "/", plain)
    if "/" not in plain:  # eV·atom-1 is eV/atom
        parts = plain.split("·")
        below = [part[:-2] for part in parts if part.endswith("-1")]
        above = [part for part in parts if not part.endswith("-1")]
        if above and len(below) == 1:
            plain = f"{'·'.join(above)}/{below[0]}"
    return plain.replace("μ", "µ")


def same_unit(one: str, other: str) -> bool:
    """Whether two texts name the same unit."""
    return unit_key(one) == unit_key(other)
