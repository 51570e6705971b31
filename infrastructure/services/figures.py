"""Figures as the pages and task lines show them: binary units, one decimal where it matters."""

GIB = 1 << 30
MIB = 1 << 20


def gib(size: int) -> str:
    """Bytes as a bare number of GiB: 2147483648 → "2.0"."""
    return f"{size / GIB:.1f}"


def memory(size: int) -> str:
    """Bytes with the unit that fits: "96 MiB", "2.0 GiB"."""
    return f"{gib(size)} GiB" if size >= GIB else f"{round(size / MIB)} MiB"


def duration(seconds: float) -> str:
    """Seconds in words: "0.4 s", "4 s", "1 min 3 s"."""
    if 0 < seconds < 1:
        return f"{max(seconds, 0.1):.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def sentence(text: str) -> str:
    """The text with one full stop at its end."""
    return text.rstrip(" .") + "." if text.strip() else ""
