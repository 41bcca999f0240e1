"""The README.md that travels with a model: what it is, how to run it, and what to expect of it."""

from collections.abc import Mapping

from hornbook.model.config import ModelConfig
from hornbook.model.config_json import describe
from hornbook.model.text import start_id

_CARD = """---
library_name: transformers
pipeline_tag: text-generation
---

# A small language model trained with Hornbook

It was trained from scratch and continues text. It has not been taught to chat, to follow instructions or to
refuse anything; do not trust what it says.

| shape | |
|---|---|
| parameters | {parameters:,} |
| layers | {config.num_hidden_layers} |
| width, feed-forward width | {config.hidden_size}, {config.intermediate_size} |
| heads (queries, keys and values) | {config.num_attention_heads}, {config.num_key_value_heads} |
| rotary channels | {config.rotary_dim} of {config.head_dim}, theta {config.rope_theta:g} |
| context | {context} |
| vocabulary | {config.vocab_size} tokens, byte-level BPE, {head} |

The architecture is {family} (`{class_name}` of transformers). Every text starts with token {start}, which also
separates the texts it was trained on.

## Run it

```
hornbook complete "def fibonacci(n):" --model .
llama-server -m ../final-Q8_0.gguf
```

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
```

## llama.cpp beside the decoder it was trained with

| file | positions | same top token | difference of log-probabilities, top 10 | KL divergence, nats |
|---|---|---|---|---|
{agreement}
"""

_FAMILIES = {
    "parallel": "that of phi-1, phi-1.5 and phi-2: attention and MLP side by side",
    "sequential": "that of Phi-3 and Phi-4: attention, then a gated MLP",
}


def model_card(config: ModelConfig, parameters: int, agreement: Mapping[str, Mapping[str, float]]) -> str:
    """Markdown with the front matter that model hubs read; `agreement` is what `agreement.json` holds."""
    rows = (
        f"| {kind} | {row['positions']} | {row['top_token']:.1%} | {row['logprob_difference']:.1e} "
        f"| {row['kl_divergence']:.1e} |"
        for kind, row in agreement.items()
    )
    class_name = describe(config, "float32")["architectures"][0]
    window = f", of which a token sees {config.sliding_window}" if config.sliding_window else ""
    return _CARD.format(
        config=config,
        parameters=parameters,
        context=f"{config.max_position_embeddings} tokens{window}",
        head="the embedding is also the head" if config.tie_word_embeddings else "embedding and head are apart",
        family=_FAMILIES[config.block],
        class_name=class_name,
        start=start_id(config),
        agreement="\n".join(rows),
    )
