"""A teacher on loopback that grades by a rule: more explanation, higher grades."""

import json
import random
import re
from typing import Any

from aiohttp import web

from tests.services.chat_server import Exchange

_EXPLAINS = re.compile(r"\b(?:the|an?|this|that|returns?|example|is|are)\b", re.IGNORECASE)


def passage(exchange: Exchange) -> str:
    """What is to be graded."""
    return exchange.said.split("<passage>\n")[1].split("\n</passage>")[0]


def grades(text: str) -> dict[str, Any]:
    """The rule: words of explanation in a hundred words decide `edu`, the length of the rest follows."""
    share = 100 * len(_EXPLAINS.findall(text)) / max(len(re.findall(r"\w+", text)), 1)
    edu = min(5, int(share / 3))
    return {"because": f"{share:.1f} %", "edu": edu, "self": min(3, edu), "level": 1 + min(4, len(text) // 500)}


async def by_rule(exchange: Exchange) -> web.StreamResponse:
    return exchange.answer(json.dumps(grades(passage(exchange))))


async def by_chance(exchange: Exchange) -> web.StreamResponse:
    drawn = random.Random(f"{exchange.said}{exchange.times}")
    values = {"because": "so it seems", "edu": drawn.randint(0, 5), "self": drawn.randint(0, 3)}
    return exchange.answer(json.dumps({**values, "level": drawn.randint(1, 5)}))


async def sometimes_badly(exchange: Exchange) -> web.StreamResponse:
    """A sixth of the passages get grades that do not exist, whenever they are asked about."""
    text = next(m["content"] for m in exchange.body["messages"] if "<passage>" in m["content"])
    if len(text) % 6 == 0:
        return exchange.answer('{"because": "superb", "edu": 11, "self": 3, "level": 1}')
    exchange.said = text
    return await by_rule(exchange)
