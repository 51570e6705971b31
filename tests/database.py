"""The test's own database, for a process of its own."""

from urllib.parse import quote

from django.db import connection


def address() -> str:
    """DATABASE_URL of the database that this test uses: a SQLite file, or a PostgreSQL behind a socket or a port."""
    at = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{at['NAME']}"
    user = quote(at["USER"], safe="") + (f":{quote(at['PASSWORD'], safe='')}" if at["PASSWORD"] else "")
    host = str(at["HOST"])
    if host.startswith("/"):
        return f"postgres://{user}@/{host}/{at['NAME']}"
    port = f":{at['PORT']}" if at["PORT"] else ""
    return f"postgres://{user}@{host}{port}/{at['NAME']}"
