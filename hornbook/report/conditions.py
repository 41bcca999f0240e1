"""What was equal in a comparison and what differed, from the manifests of its steps."""

from collections.abc import Iterable, Mapping
from typing import Any

from hornbook.report.results import REPEAT, Finished, Steps, of

_OWN = ("name", "arm")  # keys that name an arm and set nothing


def trainings(steps: Steps) -> dict[str, list[Finished]]:
    """The training steps of every arm, one a seed."""
    found: dict[str, list[Finished]] = {}
    for name, step in steps.items():
        if name.startswith("training.") and "unique_tokens" in step.counters:
            found.setdefault(REPEAT.sub("", name).removeprefix("training."), []).append(step)
    return found


def data_arm(steps: Steps, arm: str) -> str:
    """The arm whose selection an arm reads: its own, or the one whose tokens it was given."""
    tokens = _inputs(steps.get(f"training.{arm}")).get("tokens")
    if f"tokenization.{arm}" not in steps:
        for name, step in steps.items():
            if tokens and name.startswith("tokenization.") and step.manifest.get("identity") == tokens:
                return name.removeprefix("tokenization.").removesuffix(f".{arm}")
    return arm


def equal(steps: Steps) -> dict[str, Any]:
    """Settings that all arms share: those of training by key, and what they were trained and measured with.

    The seed is left out: it differs between repeats, and is the same for all arms within one.
    """
    models = [step for group in trainings(steps).values() for step in group]
    configs = [flat(step.manifest.get("config")) for step in models]
    shared = {
        key: value
        for key, value in (configs[0] if configs else {}).items()
        if key != "seed" and value is not None and all(key in other and other[key] == value for other in configs)
    }
    probe = steps.get("training.probe")
    choices = of(steps, "training.probe", "choices.json") or (probe.counters.get("choices") if probe else None)
    judge = steps.get("ablation.verdict")
    return {
        "training": shared,
        "tokenizers": sorted({_inputs(step)["tokenizer"] for step in models if "tokenizer" in _inputs(step)}),
        "vocabulary": steps["tokenization.tokenizer"].counters.get("vocab_size")
        if "tokenization.tokenizer" in steps
        else None,
        "choices": choices or {},
        "bootstrap_seed": flat(judge.manifest.get("config")).get("seed") if judge else None,
    }


def differed(steps: Steps, arms: Iterable[str], base: str) -> dict[str, list[dict[str, Any]]]:
    """Per arm but the base arm: rows of `where` (the step), `key`, `value` and `base` (value of the base arm)."""
    plain = _Settings(steps, base)
    return {arm: _differences(_Settings(steps, arm), plain) for arm in arms if arm != base}


def flat(config: Any, before: str = "") -> dict[str, Any]:
    """Nested settings as one level, with dots in the keys: {"model": {"hidden_size": 8}} -> "model.hidden_size"."""
    found: dict[str, Any] = {}
    for key, value in (config or {}).items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


class _Settings:
    """The settings of every step that bears on an arm's data and training, by the name that all arms have for it, and
    `used`: the steps whose results its selection reads.

    A step may be behind another without being used: duplicates are looked for among what passes the rules, also for
    an arm that does not ask the rules.
    """

    def __init__(self, steps: Steps, arm: str) -> None:
        self.of: dict[str, dict[str, Any]] = {}
        self.used: set[str] = set()
        if f"training.{arm}" in steps:
            self.of["training"] = flat(steps[f"training.{arm}"].manifest.get("config"))
        selection = steps.get(f"curation.select.{data_arm(steps, arm)}")
        if selection is None:
            return
        self.of["curation.select"] = flat(selection.manifest.get("config"))
        arms = sorted(trainings(steps), key=len, reverse=True)
        for step in _behind(steps, selection):
            self.of[_common(step.name, arms)] = flat(step.manifest.get("config"))
            if step.manifest.get("identity") in _inputs(selection).values():
                self.used.add(_common(step.name, arms))


def _behind(steps: Steps, step: Finished) -> list[Finished]:
    """The steps of synthesis and curation that a step was made from. Inputs are known by their identity alone, since
    an arm may share the variant of another; so this also finds which variant an arm reads."""
    known = {found.manifest.get("identity"): found for found in steps.values()}
    seen: dict[str, Finished] = {}
    waiting = [step]
    while waiting:
        for identity in _inputs(waiting.pop()).values():
            found = known.get(identity)
            if found is not None and found.name not in seen:
                seen[found.name] = found
                waiting.append(found)
    return [found for name, found in steps.items() if name in seen and name.startswith(("synthesis.", "curation."))]


def _common(name: str, arms: Iterable[str]) -> str:
    """A step's name without that of the arm that it is a variant for."""
    return next((name.removesuffix(f".{arm}") for arm in arms if name.endswith(f".{arm}")), name)


def _differences(own: _Settings, base: _Settings) -> list[dict[str, Any]]:
    """Rows for the keys in which two arms differ; one row for a step that only one of them uses."""
    rows: list[dict[str, Any]] = []
    for where in dict.fromkeys([*own.of, *base.of]):
        if (where in own.used) != (where in base.used):
            one_word, other_word = ("used" if where in side.used else "not used" for side in (own, base))
            rows.append({"where": where, "key": "", "value": one_word, "base": other_word})
        elif where in own.of and where in base.of:
            one, other = own.of[where], base.of[where]
            rows += [
                {"where": where, "key": key, "value": one.get(key), "base": other.get(key)}
                for key in dict.fromkeys([*one, *other])
                if key not in _OWN and one.get(key) != other.get(key)
            ]
    return rows


def _inputs(step: Finished | None) -> Mapping[str, str]:
    return (step.manifest.get("inputs") or {}) if step else {}
