"""Bytes to text: encodings found out, and what no text should hold taken out."""

import codecs
import io
import re
import tokenize

_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", re.ASCII | re.MULTILINE)
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Everything below the space but tab, line feed, vertical tab, form feed and carriage return; and delete.
_CONTROLS = bytes(set(range(32)) - {9, 10, 11, 12, 13} | {127})
_LATER_CONTROLS = re.compile(rb"\xc2[\x80-\x9f]")  # C1, in UTF-8
_ESCAPE_OR_CONTROL = re.compile("\x1b\\[[0-9;]*[A-Za-z]|[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SAMPLE = 1 << 18  # bytes looked at to find out an encoding
_EVIDENCE = 16  # fewer bytes outside of ASCII tell nothing about the encoding
OVERLONG_LINE, _OVERLONG_WORD = 100_000, 10_000  # characters


class Unusable(Exception):
    """Bytes that are no text, with the reason."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def decode_strictly(data: bytes, python: bool) -> str:
    """UTF-8, or what a Python file declares, and nothing else; `\\n` line ends and no byte order mark.

    Raises Unusable: `binary`, `not decodable`.
    """
    if b"\0" in data:
        raise Unusable("binary")
    try:
        encoding = _declared(data) if python else "utf-8-sig"
        text = data.decode(encoding)
        text.encode()  # some declared encodings let lone surrogates through
    except (SyntaxError, UnicodeError, LookupError) as error:
        raise Unusable("not decodable") from error
    return _line_ends(text)


def decode(data: bytes, python: bool = False) -> tuple[str, tuple[str, ...]]:
    """The text of a file in whatever encoding, and `("encoding",)` where that is not the one to expect.

    A byte order mark or a declaration is believed; then UTF-8 is tried, with a few broken characters if need be;
    then uchardet is asked. Few bytes outside of ASCII are no evidence: they are read as Windows-1252, which is by
    far the most frequent. Raises Unusable: `binary`.
    """
    try:
        return decode_strictly(data, python), ()
    except Unusable:
        pass
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _line_ends(data.decode(encoding, "replace").removeprefix("\ufeff")), ("encoding",)
    if b"\0" in data:
        return _line_ends(data.decode(_utf16(data), "replace")), ("encoding",)
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if 10 * broken > sum(byte >= 0xC2 for byte in data[:_SAMPLE]):
        text = _legacy(data)
    return _line_ends(text), ("encoding",)


def clean(text: str) -> tuple[str, tuple[str, ...]]:
    """The text without control characters, terminal colours, lone surrogates and overlong words; what was mended.

    In lines of more than 100,000 characters, words of more than 10,000 are data, and are taken out.
    """
    repaired = []
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        text = _SURROGATE.sub("\ufffd", text)
        raw = text.encode()
        repaired.append("encoding")
    text = _line_ends(text)
    if len(raw.translate(None, _CONTROLS)) < len(raw) or (b"\xc2" in raw and _LATER_CONTROLS.search(raw)):
        text = _ESCAPE_OR_CONTROL.sub("", text)
        repaired.append("control characters")
    if len(text) > OVERLONG_LINE and max(map(len, text.split("\n"))) > OVERLONG_LINE:
        shorter = "\n".join(_shorter(line) for line in text.split("\n"))
        if len(shorter) < len(text):
            text = shorter
            repaired.append("overlong line")
    return text, tuple(repaired)


def _line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _shorter(line: str) -> str:
    if len(line) <= OVERLONG_LINE:
        return line
    return " ".join(word for word in line.split(" ") if len(word) <= _OVERLONG_WORD)


def _declared(data: bytes) -> str:
    if _COOKIE.search(b"\n".join(data.split(b"\n", 2)[:2])):
        return tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    return "utf-8-sig"


def _utf16(data: bytes) -> str:
    """UTF-16 without a mark shows itself by zeros in every other byte."""
    sample = data[:4096]
    zeros = [half.count(0) / max(len(half), 1) for half in (sample[::2], sample[1::2])]
    if len(data) % 2 == 0 and min(zeros) < 0.05 and max(zeros) > 0.4:
        return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    raise Unusable("binary")


def _legacy(data: bytes) -> str:
    import cchardet

    found = None
    if sum(byte > 127 for byte in data[:_SAMPLE]) >= _EVIDENCE:
        found = cchardet.detect(data[:_SAMPLE])["encoding"]
    for encoding in (found or "cp1252", "cp1252", "latin-1"):
        try:
            text = data.decode("cp1252" if encoding in ("ISO-8859-1", "ASCII") else encoding)
        except (UnicodeError, LookupError):
            continue
        if 100 * len(_ESCAPE_OR_CONTROL.findall(text)) <= len(text):
            return text
    raise Unusable("binary")
