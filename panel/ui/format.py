"""Quantities in the words of the UI guide: GiB and TiB for space, MiB/s for rates, short durations."""

from datetime import UTC, datetime

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
NO_DATA = "No data"


def space(value: float | None) -> str:
    """Bytes as the largest fitting binary unit: "512 MiB", "1.5 GiB"; "No data" for None."""
    if value is None:
        return NO_DATA
    amount, unit = float(value), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount /= 1024
        unit += 1
    return f"{_short(amount)} {_UNITS[unit]}"


def gib(value: float | None) -> str:
    """Bytes as a bare number of GiB for columns whose header names the unit."""
    return NO_DATA if value is None else _short(value / 1024**3)


def rate(value: float | None) -> str:
    """Bytes per second as KiB/s, or MiB/s from 1 MiB/s on."""
    if value is None:
        return NO_DATA
    if value < 1024**2:
        return f"{_short(value / 1024)} KiB/s"
    return f"{_short(value / 1024**2)} MiB/s"


def percent(value: float | None) -> str:
    """A percentage without decimals; below 1 it says so, because 0% would read as idle."""
    if value is None:
        return NO_DATA
    return "<1%" if 0 < value < 0.5 else f"{value:.0f}%"


def duration(seconds: float | None) -> str:
    """Seconds in the two largest units that matter: "4 s", "1 min 3 s", "2 h 5 min", "6 d 3 h", "41 d"."""
    if seconds is None:
        return NO_DATA
    left = max(0, int(seconds))
    if left < 60:
        return f"{left} s"
    minutes, rest = divmod(left, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours and days < 10 else f"{days} d"


def coarse(seconds: float | None) -> str:
    """Seconds in the one largest unit, for ages and uptimes in tables: "12 s", "4 min", "3 h", "41 d"."""
    if seconds is None:
        return NO_DATA
    left = max(0, int(seconds))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if left >= size:
            return f"{left // size:,} {unit}"
    return f"{left} s"


def seconds_since(moment: datetime | None, now: datetime | None = None) -> float | None:
    """Age of a moment in seconds; None when there is none."""
    if moment is None:
        return None
    return ((now or datetime.now(UTC)) - moment).total_seconds()


def clock(moment: datetime, now: datetime | None = None) -> str:
    """A moment as the guide writes it: time of day today, "Nov 30, 19:02" this year, else the full date (UTC).

    The browser rewrites it in its own zone.
    """
    now = now or datetime.now(UTC)
    moment = moment.astimezone(UTC)
    if moment.date() == now.date():
        return f"{moment:%H:%M:%S}"
    if moment.year == now.year:
        return f"{moment:%b} {moment.day}, {moment:%H:%M}"
    return f"{moment:%Y-%m-%d %H:%M}"


def count(number: int, singular: str, plural: str = "") -> str:
    """A number with its noun: "1 node", "1,143 VEs"."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def _short(amount: float) -> str:
    """At most one decimal, and none where it says nothing."""
    text = f"{amount:,.1f}" if amount < 100 else f"{amount:,.0f}"
    return text.removesuffix(".0")
