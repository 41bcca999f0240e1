"""Ways of cutting text into words before byte-pair encoding, under the names that llama.cpp has for them.

A GGUF file names its way and leaves the rule to the program; tokenizer.json holds the rule. One table serves both
directions, so what is not in it is neither read nor written.
"""

import json
from typing import Any

from tokenizers import Regex, Tokenizer, models, pre_tokenizers

_WORDS = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)  # the cut of GPT-2
_DIGITS_FIRST = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _WORDS])


def _split(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


# Of GPT-4 and Phi-4: contractions, words with one sign before them, up to three digits, signs, line ends, spaces.
_CL100K = _split(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Of GPT-4o and Phi-4-mini: a word ends also before a capital, and contractions belong to their word.
_O200K = _split(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# The first of equal ways is the one to write. `llama-bpe` takes a word that is a token as it is, even where no merges
# lead to it (`ignore_merges`); the others do not.
PRE_TOKENIZERS = {
    "gpt-2": _WORDS,
    "phi-2": _WORDS,
    "smollm": _DIGITS_FIRST,
    "starcoder": _DIGITS_FIRST,
    "dbrx": _CL100K,
    "llama-bpe": _CL100K,
    "gpt-4o": _O200K,
}
IGNORE_MERGES = ("llama-bpe",)
# Names under which llama.cpp cuts some texts elsewhere than tokenizer.json says, and which texts.
INEXACT = {"gpt-4o": "words with letters outside ASCII or with combining marks"}


def pre_tokenizer_name(tokenizer: dict[str, Any]) -> str | None:
    """llama.cpp's name for the way in which the tokenizer of a tokenizer.json cuts text; None where it has none."""
    parts = _parts(tokenizer["pre_tokenizer"])
    ignores_merges = bool(tokenizer["model"].get("ignore_merges"))
    return next(
        (
            name
            for name, known in PRE_TOKENIZERS.items()
            if _parts(_described(known)) == parts and (name in IGNORE_MERGES) == ignores_merges
        ),
        None,
    )


def _described(pre_tokenizer: pre_tokenizers.PreTokenizer) -> dict[str, Any]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    return json.loads(tokenizer.to_str())["pre_tokenizer"]


def _parts(described: dict[str, Any] | None) -> list[dict[str, Any]]:
    """A pre-tokenizer as a list of simple ones, without what has no bearing on the cuts."""
    if described is None:
        return []
    if described["type"] == "Sequence":
        return [part for inner in described["pretokenizers"] for part in _parts(inner)]
    part = {key: value for key, value in described.items() if key != "trim_offsets"}
    if part["type"] == "Split" and (part["behavior"], part["invert"]) == ("Removed", True):
        part |= {"behavior": "Isolated", "invert": False}  # the same where a pattern leaves nothing out, as all here do
    return [part]
