"""`ModelConfig` <-> the config.json of a Hugging Face folder.

The file names one of four architectures, which says how the blocks are built, and older and newer versions of
transformers describe rotary embeddings in different places. What is read is what transformers would read, and what is
written both of them read alike.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from hornbook.core.errors import HornbookError
from hornbook.model.config import (
    PARALLEL,
    PHI_3_SMALL_DUMMIES,
    LongRope,
    ModelConfig,
    Phi3SmallConfig,
    PhimoeConfig,
)

REMEDY = "Make the folder again, or name another one."


@dataclass(frozen=True)
class Architecture:
    """What a `model_type` stands for."""

    class_name: str
    switches: dict[str, Any]
    hidden_acts: tuple[str, ...]  # names of the one activation; the first is the one to write
    defaults: dict[str, Any]  # of keys that a file may leave out
    constants: dict[str, Any]  # keys that every file has and that change nothing here
    norm_eps: str  # the field of ModelConfig
    has_window: bool
    config: type[ModelConfig] = ModelConfig
    keys: dict[str, str] = field(default_factory=dict)  # fields of the config that have other names in the file
    required: dict[str, Any] = field(default_factory=dict)  # keys with the only value that is computed here
    has_mscale: bool = False  # LongRoPE's attention factor is called short_mscale and long_mscale


_SWITCHES = ("block", "norm", "mlp", "projections", "bias")


def _switches(config: type[ModelConfig]) -> dict[str, Any]:
    return {name: config.__dataclass_fields__[name].default for name in _SWITCHES}


_DROPOUT = {"attention_dropout": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
ARCHITECTURES = {
    "phi": Architecture(
        class_name="PhiForCausalLM",
        switches=PARALLEL,
        hidden_acts=("gelu_new", "gelu_pytorch_tanh"),
        defaults={"tie_word_embeddings": False, "partial_rotary_factor": 0.5, "bos_token_id": 1, "eos_token_id": 2},
        constants={**_DROPOUT, "qk_layernorm": False},
        norm_eps="layer_norm_eps",
        has_window=False,
    ),
    "phi3": Architecture(
        class_name="Phi3ForCausalLM",
        switches=_switches(ModelConfig),
        hidden_acts=("silu", "swish"),
        defaults={
            "tie_word_embeddings": False,
            "partial_rotary_factor": 1.0,
            "bos_token_id": 1,
            "eos_token_id": 32000,
            "original_max_position_embeddings": 4096,
        },
        constants=_DROPOUT,
        norm_eps="rms_norm_eps",
        has_window=True,
    ),
    "phi3small": Architecture(
        class_name="Phi3SmallForCausalLM",
        switches=_switches(Phi3SmallConfig),
        hidden_acts=("gegelu",),
        defaults={
            "tie_word_embeddings": True,
            "bos_token_id": 100_257,
            "eos_token_id": 100_257,
            "dummy_token_indices": PHI_3_SMALL_DUMMIES,  # the published file leaves them to the code of its tokenizer
        },
        constants={"attention_dropout_prob": 0.0, "embedding_dropout_prob": 0.0, "ffn_dropout_prob": 0.0},
        norm_eps="layer_norm_eps",
        has_window=False,
        config=Phi3SmallConfig,
        keys={
            "intermediate_size": "ff_intermediate_size",
            "layer_norm_eps": "layer_norm_epsilon",
            "rope_theta": "rope_embedding_base",
        },
        required={"rope_position_scale": 1.0},
        has_mscale=True,
    ),
    "phimoe": Architecture(
        class_name="PhiMoEForCausalLM",
        switches=_switches(PhimoeConfig),
        hidden_acts=("silu", "swish"),
        defaults={
            "tie_word_embeddings": False,
            "rope_theta": 1_000_000.0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "attention_bias": False,
            "lm_head_bias": False,
        },
        constants={"attention_dropout": 0.0, "router_aux_loss_coef": 0.0},
        norm_eps="layer_norm_eps",
        has_window=True,
        config=PhimoeConfig,
        keys={"layer_norm_eps": "rms_norm_eps"},
        required={"attention_bias": True, "lm_head_bias": True},
        has_mscale=True,
    ),
}
_MSCALES = ("short_mscale", "long_mscale")
# Fields of ModelConfig that mean something else in config.json, or nothing.
_OWN = (*_SWITCHES, "rope_scaling", "rms_norm_eps", "layer_norm_eps", "sliding_window")


def read_config(folder: Path) -> ModelConfig:
    """What config.json of a folder says.

    Raises HornbookError when it is missing, incomplete or contradictory, or describes what our decoder does not
    compute. Dropout is ignored: it plays no part once a model is trained.
    """
    path = Path(folder) / "config.json"
    described = read_json(path)
    for reason in _unsupported(described):
        raise HornbookError(
            f"Hornbook cannot run the model in {folder}: {reason}.", "Use a Phi model without these features."
        )
    return _config(described | {"eos_token_id": _end_of_text(described, path)}, path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises HornbookError when the file is missing or holds no object."""
    try:
        described = json.loads(path.read_text())
        if not isinstance(described, dict):
            raise ValueError("it is not a JSON object")
    except FileNotFoundError:
        raise HornbookError(f"There is no model in {path.parent}: {path.name} is missing.", REMEDY) from None
    except (OSError, ValueError) as error:
        raise HornbookError(f"Cannot read {path} ({error}).", REMEDY) from error
    return described


def checked_config(values: dict[str, Any], path: Path, kind: type[ModelConfig] = ModelConfig) -> ModelConfig:
    """The model that a file describes by the fields of its kind of config.

    Raises HornbookError with the name of the file when one is missing, when they contradict each other, or when texts
    would start with a token that the model does not have.
    """
    try:
        config = kind(**values)
    except (TypeError, ValueError) as error:
        raise HornbookError(f"{path} is not complete ({error}).", REMEDY) from error
    except HornbookError as error:
        raise HornbookError(f"{path} contradicts itself. {error.problem}", error.remedy) from error
    name = "eos_token_id" if config.bos_token_id is None else "bos_token_id"
    if not 0 <= getattr(config, name) < config.vocab_size:
        raise HornbookError(
            f"{path} contradicts itself. {name} is {getattr(config, name)}, and vocab_size {config.vocab_size}.",
            "Correct the one that is wrong.",
        )
    return config


def describe(config: ModelConfig, dtype: str) -> dict[str, Any]:
    """The content of config.json for a model whose weights have type `dtype`, such as "bfloat16".

    Raises HornbookError when no architecture of transformers computes this model.
    """
    model_type = _model_type(config)
    architecture = ARCHITECTURES[model_type]
    described = {
        "architectures": [architecture.class_name],
        "model_type": model_type,
        "torch_dtype": dtype,
        "hidden_act": architecture.hidden_acts[0],
        **architecture.constants,
        **architecture.required,
        "use_cache": True,
        **{
            architecture.keys.get(name, name): value
            for name, value in asdict(config).items()
            if name not in _OWN or name == architecture.norm_eps
        },
        "original_max_position_embeddings": config.max_position_embeddings,
        "rope_scaling": None,
    }
    if architecture.has_window:
        described["sliding_window"] = config.sliding_window
    rope: dict[str, Any] = {"rope_type": "default"}
    if scaling := config.rope_scaling:
        # transformers 4 takes these three keys for Phi-3 and refuses more, which is better than to ignore a factor.
        factors: dict[str, Any] = {"short_factor": list(scaling.short_factor), "long_factor": list(scaling.long_factor)}
        original = scaling.original_max_position_embeddings
        if architecture.has_mscale:
            from hornbook.model.rope import Rope  # torch, which nothing else here needs

            factors |= dict.fromkeys(_MSCALES, Rope.of(config).attention_factor)
            factors["original_max_position_embeddings"] = original
        elif scaling.attention_factor is not None:
            factors["attention_factor"] = scaling.attention_factor
        described |= {"original_max_position_embeddings": original, "rope_scaling": {"type": "longrope", **factors}}
        rope = {"rope_type": "longrope", **factors, "original_max_position_embeddings": original}
    theta = {"rope_theta": config.rope_theta, "partial_rotary_factor": config.partial_rotary_factor}
    return described | {"rope_parameters": rope | theta}


def _model_type(config: ModelConfig) -> str:
    """The architecture that computes a model."""
    remedy = "Change the shape, or keep the weights in Hornbook."
    if config.rope_scaling and not config.rope_scaling.short_factor:
        raise HornbookError("The model has no factors for its rotary embeddings.", "Load it from a checkpoint.")
    if config.rope_scaling and config.head_dim * config.num_attention_heads != config.hidden_size:
        raise HornbookError(
            "transformers counts the factors of LongRoPE by hidden_size / num_attention_heads, which is not head_dim.",
            remedy,
        )
    for model_type, architecture in ARCHITECTURES.items():
        if all(getattr(config, name) == value for name, value in architecture.switches.items()):
            if config.sliding_window is not None and not architecture.has_window:
                raise HornbookError(f"{architecture.class_name} of transformers has no sliding window.", remedy)
            return model_type
    found = ", ".join(f"{name} {getattr(config, name)}" for name in _SWITCHES)
    raise HornbookError(f"transformers has no architecture with {found}.", remedy)


def _rope(described: dict[str, Any]) -> dict[str, Any]:
    """Where this file describes its rotary embeddings; transformers 5 prefers the older place."""
    return described.get("rope_scaling") or described.get("rope_parameters") or {}


def _rope_type(described: dict[str, Any]) -> str:
    rope = _rope(described)
    kind = rope.get("rope_type", rope.get("type", "default"))
    old = kind in ("su", "yarn") and described["model_type"] in ("phi3", "phi3small")  # older names
    return "longrope" if old else kind


def _unsupported(described: dict[str, Any]) -> Iterator[str]:
    """Reasons why our decoder would compute something else than the model that is described."""
    architecture = ARCHITECTURES.get(str(described.get("model_type")))
    if architecture is None:
        known = " and ".join(repr(name) for name in ARCHITECTURES)
        yield f"its model_type is {described.get('model_type')!r}, and only {known} are known"
        return
    if (kind := _rope_type(described)) not in ("default", "longrope"):
        yield f"its rotary embeddings are scaled ({kind})"
    act = described.get("hidden_act", architecture.hidden_acts[0])
    if act not in architecture.hidden_acts:
        yield f"its activation is {act!r}, and only {architecture.hidden_acts[0]!r} is known"
    for key, value in architecture.required.items():
        if (found := (architecture.defaults | described).get(key, value)) != value:
            yield f"its {key} is {found!r}, and only {value!r} is known"
    if len({_rope(described).get(name) for name in _MSCALES}) > 1:
        yield f"its {' and '.join(_MSCALES)} are not equal"
    if described.get("qk_layernorm"):
        yield "it normalises queries and keys (qk_layernorm)"
    if described.get("quantization_config"):
        yield "its weights are quantised"


def _end_of_text(described: dict[str, Any], path: Path) -> int:
    """The token that ends a text; where config.json says null, generation_config.json may know it."""
    end = described.get("eos_token_id", ARCHITECTURES[described["model_type"]].defaults["eos_token_id"])
    if end is None:
        try:
            end = json.loads(path.with_name("generation_config.json").read_text())["eos_token_id"]
        except (OSError, ValueError, KeyError, TypeError):
            end = []
    ids = end if isinstance(end, list) else [end]
    if not ids or not isinstance(ids[0], int):
        raise HornbookError(f"{path} names no eos_token_id.", "Add the token that ends a text.")
    return ids[0]


def _config(described: dict[str, Any], path: Path) -> ModelConfig:
    architecture = ARCHITECTURES[described["model_type"]]
    rope = _rope(described)
    given = {key: value for key in ("rope_theta", "partial_rotary_factor") if (value := rope.get(key)) is not None}
    fields_by_key = {key: name for name, key in architecture.keys.items()}
    described = {fields_by_key.get(key, key): value for key, value in described.items()}
    described = architecture.defaults | described | given
    if described.get("num_key_value_heads") is None:
        described["num_key_value_heads"] = described.get("num_attention_heads")
    if described.get("head_dim") is None:
        described["head_dim"] = 0
    known = [f.name for f in fields(architecture.config) if f.name not in _OWN or f.name == architecture.norm_eps]
    values = {name: described[name] for name in known if name in described}
    _check_types(values, architecture, path)
    if "dummy_token_indices" in values:
        values["dummy_token_indices"] = tuple(values["dummy_token_indices"])
    if architecture.has_window:
        values["sliding_window"] = described.get("sliding_window")
    try:
        if _rope_type(described) == "longrope":
            values["rope_scaling"] = _long_rope(described, rope)
    except (TypeError, ValueError, KeyError) as error:
        raise HornbookError(f"{path} is not complete ({error}).", REMEDY) from error
    return checked_config(values | architecture.switches, path, architecture.config)


def _check_types(values: dict[str, Any], architecture: Architecture, path: Path) -> None:
    """Every number is a number; raises HornbookError with the name of one that is not."""
    for f in fields(architecture.config):
        value, is_whole = values.get(f.name, 0), f.type is int
        if not is_whole and f.type is not float:
            continue
        if isinstance(value, bool) or not isinstance(value, int if is_whole else (int, float)):
            key, kind = architecture.keys.get(f.name, f.name), "whole number" if is_whole else "number"
            raise HornbookError(f"{path}: {key} is {value!r}, which is no {kind}.", "Correct the file.")


def _long_rope(described: dict[str, Any], rope: dict[str, Any]) -> LongRope:
    """LongRoPE as the file describes it. A `factor` stands for the stretch that the attention factor is made of."""
    from hornbook.model.rope import attention_factor  # torch, which nothing else here needs

    original = described.get("original_max_position_embeddings") or rope.get("original_max_position_embeddings")
    original = int(original or described["max_position_embeddings"])
    attention = rope.get("attention_factor", rope.get("short_mscale"))
    if attention is None and rope.get("factor") is not None:
        attention = attention_factor(original, float(rope["factor"]))
    return LongRope(original, tuple(rope["short_factor"]), tuple(rope["long_factor"]), attention)
