"""What can be wrong with the panel's keys."""


class TrustError(Exception):
    """A key or certificate of the panel is missing, damaged or does not fit; the message says what to do."""
