"""Encodings are found out, and what no text should hold is taken out."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hornbook.corpus.decoding import Unusable, clean, decode

GERMAN = "Die Größe der Straße ist für Öl und Äpfel wichtig, nämlich schön.\n" * 3
RUSSIAN = "Привет, мир. Это текст на русском языке.\n" * 3
JAPANESE = "これは日本語のテキストです。漢字とかな。\n" * 3


@pytest.mark.parametrize(
    "text, encoding",
    [
        (GERMAN, "cp1252"),
        (GERMAN, "utf-16"),
        (GERMAN, "utf-16-le"),
        (GERMAN, "utf-16-be"),
        (GERMAN, "utf-32"),
        ("caf\u00e9, \u201cquoted\u201d \u2013 50 \u20ac\n", "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
    ],
)
def test_encodings_are_found_out_and_told(text, encoding):
    assert decode(text.encode(encoding)) == (text, ("encoding",))


def test_what_is_as_expected_is_no_repair():
    assert decode("\ufeffGr\u00f6\u00dfe\r\n".encode()) == ("Gr\u00f6\u00dfe\n", ())
    assert decode("# coding: latin-1\nx = '\u00e9'\n".encode("latin-1"), python=True)[1] == ()


def test_a_few_broken_bytes_do_not_make_utf8_another_encoding():
    data = RUSSIAN.encode()
    text, repaired = decode(data[:41] + data[42:])
    assert repaired == ("encoding",) and text.count("\ufffd") <= 2 and text.endswith("языке.\n")


@pytest.mark.parametrize("data", [b"\x7fELF\x02\x01\0\0\0", bytes(range(256)) * 4, b"\x89PNG\r\n\x1a\n\0\0"])
def test_binaries_are_refused(data):
    with pytest.raises(Unusable, match="binary"):
        decode(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_text_that_can_be_written_or_are_refused(data):
    try:
        text, _ = decode(data)
    except Unusable:
        return
    cleaned, _ = clean(text)
    cleaned.encode()
    assert not any(unicodedata.category(c) == "Cc" and c not in "\t\n\v\f" for c in cleaned)


@given(st.text(alphabet=st.characters(max_codepoint=sys.maxunicode), max_size=300))
def test_cleaning_twice_is_cleaning_once(text):
    once, _ = clean(text)
    assert clean(once) == (once, ())


def test_colours_and_control_characters_go_but_layout_stays():
    text = "\x1b[31mred\x1b[0m\ttab\x0cpage\x08\x85\r\nnext"
    assert clean(text) == ("red\ttab\x0cpage\nnext", ("control characters",))


def test_data_in_overlong_lines_goes_but_prose_stays():
    prose = "word " * 30_000
    assert clean(prose) == (prose, ())
    blob = "x = '" + "QUJD" * 50_000 + "' # end\ny = 1\n"
    text, repaired = clean(blob)
    assert repaired == ("overlong line",) and text == "x = # end\ny = 1\n"
