"""The version of the library, which the store keeps with what it was used for."""

from __future__ import annotations

VERSION = "0.3.0"
