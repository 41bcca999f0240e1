"""How the pages are written: their templates, and numbers, sizes and texts as people read them."""

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hornbook.report.plots import short_number
from hornbook.report.summary import decision

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
_LONGEST = 4000  # characters of a text on a page


@cache
def environment() -> "Environment":
    """The templates with their filters. What a template names must exist: a gap is an error, not a blank."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "clean": clean,
        "number": number,
        "size": size,
        "duration": duration,
        "short": short_number,
        "times": times,
        "percent": percent,
        "decision": decision,
        "signed": signed,
        "points": lambda share: signed(100 * share, 1),
        "value": lambda value: "not set" if value is None else json.dumps(value, ensure_ascii=False).strip('"'),
        "pretty": lambda value: json.dumps(value, indent=1, ensure_ascii=False),
    }
    found.globals["css"] = (TEMPLATES / "report.css").read_text()
    return found


def clean(text: Any) -> str:
    """A text that may stand in HTML: no control characters or lone surrogates, and not endless."""
    kept = "".join(c if c in "\n\t" or (c >= " " and not "\x7f" <= c <= "\x9f") else "�" for c in str(text)[:_LONGEST])
    kept = kept.encode("utf-8", "replace").decode()
    return kept + ("\n…" if len(str(text)) > _LONGEST else "")


def number(value: Any) -> str:
    """A count with thin separators, or a dash."""
    return "–" if value is None else f"{value:,.0f}".replace(",", "\u202f")


def size(value: Any) -> str:
    """Bytes in decimal units."""
    if value is None:
        return "–"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}" if value < 999.5 * scale else f"{value / scale:,.0f} {unit}"
    return f"{value:.0f} B"


def duration(seconds: Any) -> str:
    """Seconds as "3.2 s", "4 min 05 s" or "1 h 02 min"."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def percent(share: float) -> str:
    """A share in percent; nearly none and nearly all are not rounded to none and all."""
    value = 100 * share
    if 0 < value < 0.1:
        return "< 0.1\u00a0%"
    if 99 < value < 100:
        return f"{min(value, 99.9):.1f}\u00a0%"
    return f"{value:.0f}\u00a0%" if value >= 10 or value == 0 else f"{value:.1f}\u00a0%"


def times(text: str) -> str:
    """The text of a multiplier with the signs of print."""
    return text.replace("x [", "× [").replace(">= ", "≥\u00a0").replace("<= ", "≤\u00a0")


def signed(value: float, digits: int = 3) -> str:
    """A difference with its sign; none before 0 is a minus."""
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "\u2212")
