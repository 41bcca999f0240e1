"""Does llama.cpp compute what our decoder computes? Next-token probabilities compared at many positions."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from hornbook.core.errors import HornbookError
from hornbook.model.decoder import Decoder
from hornbook.services.llama_server import LlamaServer, serve

TOP = 100  # tokens of llama.cpp's answer that enter the KL divergence
MIN_POSITIONS = 50


@dataclass(frozen=True)
class Tolerance:
    """What a file type may change.

    `top_token`: least share of equal top tokens; `kl_divergence`: largest mean, in nats; `tie`: tokens whose
    log-probabilities differ by less are equally likely.
    """

    top_token: float
    kl_divergence: float
    tie: float


TOLERANCES = {
    "F32": Tolerance(0.96, 1e-3, tie=0.01),
    "F16": Tolerance(0.96, 1e-3, tie=0.01),
    "BF16": Tolerance(0.90, 1e-2, tie=0.05),
    "Q8_0": Tolerance(0.90, 1e-2, tie=0.05),
    "Q4_0": Tolerance(0.90, 1e-2, tie=0.05),
    "Q4_1": Tolerance(0.90, 1e-2, tie=0.05),
}
# What 4 bits leave of a model is another model: llama.cpp has to compute that one. What they cost, an evaluation says.
COMPARED_AS_STORED = ("Q4_0", "Q4_1")


@dataclass(frozen=True)
class Row:
    """Token ids to compare at: after each of them from `first` on, with llama.cpp given room for `context` tokens."""

    ids: Sequence[int]
    context: int
    first: int = 0


@dataclass(frozen=True)
class Agreement:
    """llama.cpp beside our float32 decoder on the same tokens, means over `positions`.

    `top_token`: share of positions where llama.cpp's best token is also ours, or ties with it within `tie`.
    `logprob_difference`: absolute, over llama.cpp's ten best tokens. `kl_divergence`: nats, from llama.cpp to
    us, over its 100 best tokens and all others taken together.
    """

    positions: int
    top_token: float
    logprob_difference: float
    kl_divergence: float


def compare(
    model: Decoder,
    tokenizer: Tokenizer,
    gguf: Path,
    texts: Sequence[str],
    rows: Sequence[Row],
    file_type: str,
) -> Agreement:
    """Compare at the positions of all rows; they must be shorter than their context.

    Raises HornbookError when llama.cpp splits one of `texts` into other tokens than our tokenizer.
    """
    tie, measured = TOLERANCES[file_type].tie, []
    for context in sorted({row.context for row in rows}):
        with serve(gguf, context=context) as server:
            for text in texts:
                if server.tokenize(text) != tokenizer.encode(text, add_special_tokens=False).ids:
                    raise HornbookError(f"llama.cpp with {gguf.name} splits {text!r} into other tokens than ours.")
            for row in rows:
                if row.context == context:
                    measured += _compare_row(model, server, row, tie)
    means = torch.tensor(measured, dtype=torch.float64).mean(0).tolist()
    return Agreement(len(measured), *means)


def check(agreement: Agreement, gguf: Path, file_type: str) -> None:
    """Raise HornbookError with the numbers when a file does not compute what the model computes."""
    tolerance = TOLERANCES[file_type]
    good = (
        agreement.positions >= MIN_POSITIONS
        and agreement.top_token >= tolerance.top_token
        and agreement.kl_divergence <= tolerance.kl_divergence
    )
    if not good:
        raise HornbookError(
            f"llama.cpp does not compute with {gguf.name} what the model computes: {asdict(agreement)}, "
            f"wanted at least {MIN_POSITIONS} positions, {asdict(tolerance)}.",
            "Do not use the file; try other versions of gguf and xllamacpp, or report the numbers.",
        )


@torch.inference_mode()
def _compare_row(model: Decoder, server: LlamaServer, row: Row, tie: float) -> list[tuple[float, float, float]]:
    """Top token agrees, mean difference of log-probabilities, KL divergence: at each position of a row."""
    h_TD = model.hidden(torch.tensor([list(row.ids)]))[0]
    measured = []
    for position in range(row.first, len(row.ids)):
        ours_V = model.head(h_TD[position]).double().log_softmax(-1)
        theirs = server.next_token_logprobs(row.ids[: position + 1], TOP)
        p = torch.tensor(list(theirs.values()), dtype=torch.float64)
        q = ours_V[list(theirs)]
        agrees = float(q[0] >= ours_V.max() - tie)
        measured.append((agrees, float((p - q)[:10].abs().mean()), _kl_divergence(p, q)))
    return measured


def _kl_divergence(p: torch.Tensor, q: torch.Tensor) -> float:
    """KL divergence from the log-probabilities of some outcomes; all others count as one more outcome."""
    rest_p, rest_q = (1 - x.exp().sum().clamp(max=1 - 1e-9) for x in (p, q))
    return float((p.exp() * (p - q)).sum() + rest_p * (rest_p / rest_q).log())
