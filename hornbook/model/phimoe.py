"""Phi-3.5-MoE: the decoder of Phi-3 with experts instead of an MLP, two of them for every token.

Abdin et al. 2024, section 2, and the published checkpoint, after which the parameters are named. The router is
SparseMixer (Liu et al. 2024, "GRIN: GRadient-INformed MoE"): in training it draws experts among those with nearly the
best score, and takes the gradient as if the choice were continuous.

Shapes in names as in `decoder`, and N positions of all rows, E experts.
"""

import torch
from torch import nn
from torch.nn import functional as F

from hornbook.model.config import PhimoeConfig
from hornbook.model.decoder import Backbone, Decoder, KVCache, LayerNorm, SequentialBlock, SplitAttention
from hornbook.model.document_mask import Mask
from hornbook.model.rope import Tables


class OutputAttention(SplitAttention):
    """As in phi-1; the projection out of it has another name."""

    def __init__(self, config: PhimoeConfig, layer: int) -> None:
        super().__init__(config, layer)
        self.o_proj = self.dense
        del self.dense

    def output(self, y_BTD: torch.Tensor) -> torch.Tensor:
        return self.o_proj(y_BTD)


def sparse_mixer(scores_NE: torch.Tensor, jitter: float, training: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The two experts of every position [N, 2], best first, and what their outputs are multiplied with [N, 2].

    The first is picked as `_pick` says, then the second in the same way among the others. The two factors are not
    brought to a sum of 1: where no score comes near the best, both are 1.
    """
    first, first_weight = _pick(scores_NE, jitter, training)
    others_NE = scores_NE.scatter(1, first, -torch.inf)
    second, second_weight = _pick(others_NE, jitter, training)
    return torch.cat((first, second), dim=1), torch.cat((first_weight, second_weight), dim=1)


def _pick(scores_NE: torch.Tensor, jitter: float, training: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """One expert [N, 1] and its weight [N, 1].

    Only experts compete whose score s has (best - s) / max(|s|, best) of at most twice the jitter; the weight is the
    softmax among them. The best is picked, in training one drawn by its weight. A drawn one that is not the best counts
    a third in three of four cases, which makes the gradient that of Heun's third-order method; the gradient itself is
    that of the whole weight.
    """
    with torch.no_grad():
        best = scores_NE.amax(dim=1, keepdim=True)
        is_out = (best - scores_NE) / scores_NE.abs().clamp(min=best) > 2 * jitter
    weights_NE = scores_NE.masked_fill(is_out, -torch.inf).softmax(dim=1)
    best_expert = scores_NE.argmax(dim=1, keepdim=True)
    if not training:
        return best_expert, weights_NE.gather(1, best_expert)
    # The largest of weight / Exp(1) falls on each expert with the probability of its weight.
    expert = (weights_NE.detach() / torch.empty_like(weights_NE).exponential_()).argmax(dim=1, keepdim=True)
    weight = weights_NE.gather(1, expert)
    is_whole = (expert == best_expert) | (torch.rand_like(weight) > 0.75)
    return expert, weight - torch.where(is_whole, 0.0, weight.detach() * (2 / 3))


class Expert(nn.Module):
    """SwiGLU without biases (Shazeer 2020): w2 of SiLU(w1) * w3."""

    def __init__(self, config: PhimoeConfig) -> None:
        super().__init__()
        self.w1 = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.w2 = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.w3 = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)

    def forward(self, x_ND: torch.Tensor) -> torch.Tensor:
        return self.w2(F.silu(self.w1(x_ND)) * self.w3(x_ND))


class Experts(nn.Module):
    """A router and its experts. No expert is ever full, so no token is dropped."""

    def __init__(self, config: PhimoeConfig) -> None:
        super().__init__()
        self.router_jitter, self.input_jitter = config.router_jitter_noise, config.input_jitter_noise
        self.gate = nn.Linear(config.hidden_size, config.num_local_experts, bias=False)
        self.experts = nn.ModuleList(Expert(config) for _ in range(config.num_local_experts))

    @torch.compiler.disable  # how many positions an expert gets is not known beforehand
    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        if self.training and self.input_jitter:
            x_BTD = x_BTD * torch.empty_like(x_BTD).uniform_(1 - self.input_jitter, 1 + self.input_jitter)
        x_ND = x_BTD.flatten(0, 1)
        expert_N2, weight_N2 = sparse_mixer(self.gate(x_ND), self.router_jitter, self.training)
        y_ND = torch.zeros_like(x_ND)
        # In training also those that no token goes to: their gradients are 0, and not missing.
        asked = range(len(self.experts)) if torch.is_grad_enabled() else expert_N2.unique().tolist()
        for number in asked:
            position, pick = torch.where(expert_N2 == number)
            y = self.experts[number](x_ND[position]) * weight_N2[position, pick, None]
            y_ND.index_add_(0, position, y)
        return y_ND.view_as(x_BTD)


class PhimoeBlock(SequentialBlock):
    """Attention, then experts, each after a LayerNorm."""

    def __init__(self, config: PhimoeConfig, layer: int) -> None:
        nn.Module.__init__(self)  # the parts are others
        self.input_layernorm = LayerNorm(config)
        self.self_attn = OutputAttention(config, layer)
        self.post_attention_layernorm = LayerNorm(config)
        self.block_sparse_moe = Experts(config)

    def forward(self, x_BTD: torch.Tensor, rope: Tables, mask: Mask, cache: KVCache | None) -> torch.Tensor:
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), rope, mask, cache)
        return x_BTD + self.block_sparse_moe(self.post_attention_layernorm(x_BTD))


class PhimoeBackbone(Backbone):
    """Token ids to hidden states."""

    def __init__(self, config: PhimoeConfig) -> None:
        super().__init__(config, PhimoeBlock)


class Phimoe(Decoder):
    """Phi-3.5-MoE; used as every `Decoder`."""

    config: PhimoeConfig
    backbone = PhimoeBackbone

    def num_active_parameters(self) -> int:
        """Number of weights that one token meets."""
        share = self.config.num_experts_per_tok / self.config.num_local_experts
        experts = sum(weight.numel() for name, weight in self.named_parameters() if ".experts." in name)
        return self.num_parameters() - round(experts * (1 - share))
