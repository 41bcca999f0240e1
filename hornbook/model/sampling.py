"""How the next token is chosen from the scores of all tokens.

The rules, their meaning and their order are those of transformers: repetition penalty (Keskar et al. 2019, section
4.1), temperature, top-k (Fan et al. 2018), top-p (Holtzman et al. 2020), min-p (Nguyen et al. 2024). What a row draws
depends on its own random numbers only.

Shapes in names: B rows, V vocabulary, N candidates of a row, best first.
"""

import math
from dataclasses import dataclass

import torch

from hornbook.core.errors import HornbookError

HEAD = 1024  # candidates that are sorted at first; top-p seldom needs more


@dataclass(frozen=True)
class SamplingOptions:
    """What acts on the scores. Raises HornbookError for values that mean nothing.

    `temperature` 0: always the most likely token, whatever top-k, top-p and min-p are. `top_k`: the so many most likely
    tokens (0: all). `top_p`: the fewest tokens that hold this share of the probability. `min_p`: tokens at least this
    share as likely as the most likely one. `repetition_penalty`: scores of tokens that the prompt or the answer
    already has are divided by it where they are positive, and multiplied where they are not.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        for name, good, wanted in (
            ("temperature", 0 <= self.temperature < float("inf"), "0 or more"),
            ("top_k", self.top_k >= 0, "0 or more"),
            ("top_p", 0 <= self.top_p <= 1, "between 0 and 1"),
            ("min_p", 0 <= self.min_p <= 1, "between 0 and 1"),
            ("repetition_penalty", 0 < self.repetition_penalty < float("inf"), "more than 0"),
        ):
            if not good:
                raise HornbookError(f"A {name} of {getattr(self, name)} means nothing.", f"It must be {wanted}.")


def choose(
    logits_BV: torch.Tensor, options: SamplingOptions, draws: list[float], seen_BV: torch.Tensor | None = None
) -> list[int]:
    """One token for every row. `draws` are random numbers in [0, 1), one a row; `seen_BV` says which tokens a row has.

    The draw of a row falls on a token where the sums of the probabilities pass it.
    """
    if seen_BV is not None:
        logits_BV = penalised(logits_BV, seen_BV, options.repetition_penalty)
    if options.temperature == 0.0:
        return logits_BV.max(dim=-1).indices.tolist()  # argmax takes four times as long in bfloat16
    scores_BN, ids_BN = candidates(logits_BV.float() / options.temperature, options)
    sums_BN = scores_BN.softmax(-1).cumsum(-1, dtype=torch.float64)
    draw_B1 = torch.tensor(draws, dtype=torch.float64, device=sums_BN.device)[:, None] * sums_BN[:, -1:]
    chosen_B1 = (sums_BN <= draw_B1).sum(-1, keepdim=True).clamp(max=sums_BN.shape[-1] - 1)
    return (chosen_B1 if ids_BN is None else ids_BN.gather(1, chosen_B1)).squeeze(1).tolist()


def penalised(logits_BV: torch.Tensor, seen_BV: torch.Tensor, penalty: float) -> torch.Tensor:
    """Scores after the repetition penalty."""
    changed_BV = torch.where(logits_BV < 0, logits_BV * penalty, logits_BV / penalty)
    return torch.where(seen_BV, changed_BV, logits_BV)


def candidates(scores_BV: torch.Tensor, options: SamplingOptions) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What top-k, top-p and min-p leave of scores at temperature 1; the scores of all others are minus infinity.

    The second result is which tokens the scores belong to; None where they are all tokens in their order.
    """
    scores_BN, ids_BN = scores_BV, None
    V = scores_BV.shape[-1]
    if 0 < options.top_k < V:
        scores_BN, ids_BN = scores_BV.topk(options.top_k)
    if options.top_p < 1.0:
        if ids_BN is None:
            scores_BN, ids_BN = _sorted_head(scores_BV, options.top_p)
        # A token stays while those before it hold less than top_p.
        total_B1 = (scores_BN if 0 < options.top_k < V else scores_BV).logsumexp(-1, keepdim=True)
        p_BN = (scores_BN - total_B1).exp()
        drop_BN = p_BN.cumsum(-1) - p_BN >= options.top_p
        drop_BN[:, 0] = False
        scores_BN = scores_BN.masked_fill(drop_BN, -torch.inf)
    if options.min_p > 0.0:
        least_B1 = scores_BN.amax(-1, keepdim=True) + math.log(options.min_p)
        scores_BN = scores_BN.masked_fill(scores_BN < least_B1, -torch.inf)
    return scores_BN, ids_BN


def _sorted_head(scores_BV: torch.Tensor, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The best tokens of every row, best first, as many as hold `top_p`; to sort all of them takes longest."""
    if scores_BV.shape[-1] > HEAD:
        scores_BN, ids_BN = scores_BV.topk(HEAD)
        held_B = (scores_BN - scores_BV.logsumexp(-1, keepdim=True)).exp().sum(-1)
        if bool((held_B >= top_p).all()):
            return scores_BN, ids_BN
    scores_BN, ids_BN = scores_BV.sort(descending=True)
    return scores_BN, ids_BN
