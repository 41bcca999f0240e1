"""How likely given tokens are.

Shapes in names: B rows, T positions, D width, N scored tokens, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from hornbook.model.decoder import Decoder

LOGITS_AT_ONCE = 1 << 20  # float32 numbers, 4 MB: they stay in the cache, whatever the vocabulary
BATCH_TOKENS = 4096


def log_probabilities(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[int]],
    batch_tokens: int = BATCH_TOKENS,
) -> list[list[float]]:
    """Natural log-probability of every token of each continuation, after its prompt and the tokens before it.

    Prompts hold at least one token. Rows of similar length are computed together, `batch_tokens` positions at a time.
    """
    result: list[list[float]] = [[] for _ in prompts]
    rows = [[*prompt, *continuation] for prompt, continuation in zip(prompts, continuations, strict=True)]
    group: list[int] = []

    def compute() -> None:
        firsts = [len(prompts[number]) for number in group]
        scored = logprobs_of_batch(model, [rows[number] for number in group], firsts).tolist()
        for number in group:
            count = len(continuations[number])
            result[number], scored = scored[:count], scored[count:]

    for number in sorted((n for n, tokens in enumerate(continuations) if len(tokens)), key=lambda n: len(rows[n])):
        if group and (len(group) + 1) * len(rows[number]) > batch_tokens:
            compute()
            group = []
        group.append(number)
    if group:
        compute()
    return result


@torch.inference_mode()
def logprobs_of_batch(model: Decoder, rows: Sequence[Sequence[int]], firsts: Sequence[int]) -> torch.Tensor:
    """Log-probabilities [N] of the tokens of each row from position `first` (at least 1) on, row after row."""
    device = model.head_weight.device
    T = max(map(len, rows))
    # The padding is to the right of all that is scored, so a causal model never sees it.
    ids_BT = torch.tensor([[*row, *(0,) * (T - len(row))] for row in rows], device=device)
    position_T = torch.arange(1, T, device=device)
    first_B1, end_B1 = (
        torch.tensor(column, device=device)[:, None] for column in (list(firsts), [len(row) for row in rows])
    )
    scored_BT = (position_T >= first_B1) & (position_T < end_B1)  # T - 1 of them
    # The true lengths: a row does not depend on those beside it, whatever the rotary embeddings are.
    hidden_ND = model.hidden(ids_BT[:, :-1], lengths_B=end_B1.squeeze(1) - 1)[scored_BT]
    target_N = ids_BT[:, 1:][scored_BT]
    count = max(1, LOGITS_AT_ONCE // model.config.vocab_size)
    losses = [
        F.cross_entropy(model.head(h).float(), targets, reduction="none")
        for h, targets in zip(hidden_ND.split(count), target_N.split(count), strict=True)
    ]
    return -torch.cat(losses).cpu()
