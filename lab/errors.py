"""The one error the lab raises on purpose."""


class LabError(Exception):
    """Something the lab cannot do; the text names the cause and, where there is one, the next step."""
