"""How varied a set of lessons is: new word runs, likeness of items, their openings, and how much of the plan is there.

Distinct n-grams after Li et al. 2016 (arXiv:1510.03055); likeness by the share of an item's runs that others have.
"""

import heapq
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from hornbook.core.documents import text_hash

_WORD = re.compile(r"\w+|[^\w\s]")
_RUN = 8  # words of a run by which items are compared
_SAMPLE = 5_000  # items that are compared


def diversity(texts: Iterable[str]) -> dict[str, Any]:
    """Measures of texts; a sample of them where there are many, the same one each time.

    `distinct_1` to `distinct_3`: different runs of words as a share of all, in the first 200 words of each text so
    that length does not count. `shared_runs`: the mean share of a text's runs of 8 words that another one has;
    `near_copies`: the share of texts that have most of theirs from others. `commonest_opening`: the share of texts
    that begin with the same three words.
    """
    sample = heapq.nsmallest(_SAMPLE, texts, key=text_hash)
    if not sample:
        return {}
    tokens = [_WORD.findall(text.lower()) for text in sample]
    found: dict[str, Any] = {"compared": len(sample)}
    for size in (1, 2, 3):
        counts = Counter(run for words in tokens for run in _runs(words[:200], size))
        found[f"distinct_{size}"] = _share(len(counts), counts.total())
    runs = [set(_runs(words, _RUN)) for words in tokens]
    seen = Counter(run for own in runs for run in own)
    shared = [sum(seen[run] > 1 for run in own) / len(own) for own in runs if own]
    found["shared_runs"] = round(sum(shared) / len(shared), 4) if shared else 0.0
    found["near_copies"] = _share(sum(share > 0.5 for share in shared), len(shared))
    openings = Counter(" ".join(words[:3]) for words in tokens)
    opening, count = openings.most_common(1)[0]
    found["commonest_opening"] = {"words": opening, "share": _share(count, len(sample))}
    return found


def coverage(leaves: Iterable[tuple[str, str]], written: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """How much of a topic tree has items, and how evenly: `evenness` is the entropy over that of an even spread."""
    counts = Counter(dict.fromkeys(leaves, 0))
    counts.update(leaf for leaf in written if leaf in counts)
    total = counts.total()
    shares = [count / total for count in counts.values() if count] if total else []
    entropy = -sum(share * math.log(share) for share in shares)
    missing = [subtopic for (_, subtopic), count in counts.items() if not count]
    return {
        "subtopics": len(counts),
        "with_items": len(shares),
        "evenness": round(entropy / math.log(len(counts)), 4) if len(counts) > 1 else 1.0,
        "without_items": missing[:20],
    }


def _runs(words: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
