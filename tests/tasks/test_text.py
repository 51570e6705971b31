"""What engines, guests and users may write into a log, and what arrives there."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.text import MASK, MOST_BYTES, Secret, clean, clip, shown_command


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("error:\n  cannot open\r\n", "error: ⏎ cannot open"),
        ("a\x1b[31mred\x1b[0m\x07b", "aredb"),
        ("\x1b]0;title\x07text", "text"),
        ("null\x00byte", "nullbyte"),
        ("read \u202eesrever\u202c", "read esrever"),
        ("tab\there", "tab here"),
        ("line\u2028separator", "line ⏎ separator"),
        ("lone \ud800 surrogate", "lone  surrogate"),
        ("vmtest → secondnode1 é 漢", "vmtest → secondnode1 é 漢"),
        (ValueError("an object"), "an object"),
    ],
)
def test_a_line_is_one_line_of_printable_text(text: object, shown: str) -> None:
    assert clean(text) == shown


@given(st.text())
def test_whatever_comes_stays_one_printable_line_that_can_be_stored(text: str) -> None:
    line = clean(text)
    assert len(line.splitlines()) <= 1
    assert all(char.isprintable() or char.isspace() or ord(char) > 0x9F for char in line)
    assert len(line.encode()) <= MOST_BYTES
    json.dumps(line).encode()


@given(st.text(alphabet="aé漢🜚", max_size=60))
def test_a_long_line_is_cut_between_characters(text: str) -> None:
    line = clean(text, limit=50)
    assert len(line.encode()) <= 50
    assert line == text or line.endswith("… (cut)")


def test_a_clipped_text_fits_its_column() -> None:
    assert clip("x" * 300, 250) == "x" * 249 + "…"


def test_a_command_line_can_be_pasted_and_shows_no_secret() -> None:
    argv = ["rbd", "create", "pool/it's", "--size", 4, Secret("hunter22")]
    assert shown_command(argv) == f"""rbd create 'pool/it'"'"'s' --size 4 {MASK}"""
    assert "hunter22" not in repr(argv)


def test_a_known_secret_is_masked_inside_other_texts_also_where_the_line_is_cut() -> None:
    text = "x" * (MOST_BYTES - 10) + "hunter22hunter22"
    assert "hunt" not in clean(text, secrets=["hunter22"])
