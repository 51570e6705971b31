"""Reading values out of Ceph's JSON. Versions differ in what they tell: what is missing or odd reads as empty or 0."""

import math
from typing import Any


def _at(value: object, keys: tuple[str, ...]) -> object:
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def table(value: object, *keys: str) -> dict[str, Any]:
    """The object found there, or {}."""
    found = _at(value, keys)
    return found if isinstance(found, dict) else {}


def rows(value: object, *keys: str) -> list[dict[str, Any]]:
    """The objects in the list found there; [] when there is none."""
    found = _at(value, keys)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def words(value: object, *keys: str) -> list[str]:
    """The texts in the list found there."""
    found = _at(value, keys)
    return [word for word in found if isinstance(word, str)] if isinstance(found, list) else []


def numbers(value: object, *keys: str) -> list[int]:
    """The whole numbers in the list found there."""
    found = _at(value, keys)
    return [number for number in found if isinstance(number, int)] if isinstance(found, list) else []


def text(value: object, *keys: str) -> str:
    found = _at(value, keys)
    return found if isinstance(found, str) else ""


def real(value: object, *keys: str, default: float = 0.0) -> float:
    """A number, also one that is written as text."""
    found = _at(value, keys)
    if not isinstance(found, int | float | str):
        return default
    try:
        number = float(found)
    except (ValueError, OverflowError):
        return default
    return number if math.isfinite(number) else default


def whole(value: object, *keys: str, default: int = 0) -> int:
    found = _at(value, keys)
    return found if isinstance(found, int) else int(real(found, default=default))
