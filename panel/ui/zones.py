"""The browser's time zone, which it tells by a cookie: days in filters begin and end where the admin is."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from django.http import HttpRequest

COOKIE = "zone"


def zone_of(request: HttpRequest) -> tzinfo:
    """The zone named by the cookie; UTC without one, or when there is no such zone."""
    try:
        return ZoneInfo(request.COOKIES.get(COOKIE, ""))
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return UTC


def today(zone: tzinfo) -> date:
    """Today's date in a zone."""
    return datetime.now(zone).date()


def day_bounds(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """When a day begins and when the next one does."""
    begin = datetime.combine(day, time(), tzinfo=zone)
    return begin, datetime.combine(day + timedelta(days=1), time(), tzinfo=zone)
