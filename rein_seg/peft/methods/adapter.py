"""Adapter tuning: a bottleneck at the end of a branch, before the residual sum.

C channels, d hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch import nn

from rein_seg.peft.arguments import Act, Count, NotNegative, Probability
from rein_seg.peft.layered import LayerMethod
from rein_seg.peft.parts.bottleneck import Bottleneck
from rein_seg.peft.parts.branches import branch_sizes, residual_branches
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, BranchSite

_BRANCHES = {'houlsby': ('attn', 'ffn'), 'pfeiffer': ('ffn',)}


@PEFT_METHODS.register_module()
class Adapter(LayerMethod):
    """Adds a bottleneck to the result f of a branch: f + W2 act(W1 f + b1) + b2.

    Convolutional encoders have it at the end of their residual branch, or after the spatial
    convolution of each block (ResNet, whose branch ends in a norm of another width).

    Args:
        form: ``houlsby``: both branches, d 64, GELU by tanh. ``pfeiffer``: the feed-forward branch
            only, d = C / 8, exact GELU.
        hidden_dims: d; None takes the form's.
        act: Activation; None takes the form's.
        after_scale: Whether f is taken after LayerScale, where there is one.
        init_std: Standard deviation of both matrices at the start, truncated at two of them.
        dropout: Probability for the hidden activations, in training.
        blocks: Block indexes; None takes all, negative indexes count from the end.

    Shapes:
        BRANCH(block, attn and ffn): (..., C) -> the same; prefix tokens are treated like all
        others.

    Source: Houlsby et al., ICML 2019, Sec. 2; Pfeiffer et al., EACL 2021. Differs from them: norms
    do not train (compose with a method that trains them), and the Pfeiffer form starts near zero
    (in VPT's code for it both matrices are zero, so that only one bias ever gets a gradient).

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='Adapter', form='pfeiffer'))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        75456
        >>> backbone.peft.layers['ffn_0'].down.weight.shape
        torch.Size([24, 192])
    """

    exact_at_start = False
    why_not_mergeable = 'its bottleneck has an activation in between'

    def __init__(
        self,
        form: Literal['houlsby', 'pfeiffer'] = 'houlsby',
        *,
        hidden_dims: Count | None = None,
        act: Act | None = None,
        after_scale: bool = True,
        init_std: NotNegative = 1e-3,
        dropout: Probability = 0.0,
        blocks: Sequence[int] | None = None,
    ) -> None:
        super().__init__(blocks)
        self.form, self.hidden_dims = form, hidden_dims
        self.act: Act = act or ('gelu_tanh' if form == 'houlsby' else 'gelu')
        self.after_scale, self.init_std, self.dropout = after_scale, init_std, dropout

    def find_sites(self, anatomy: Anatomy) -> Sequence[BranchSite]:
        """Returns the branches of the form."""
        return residual_branches(anatomy, _BRANCHES[self.form], blocks=self.blocks)

    def make_layer(self, site: BranchSite) -> nn.Module:
        """Returns the bottleneck of one branch, nearly zero."""
        width, _, _ = branch_sizes(site, parallel=False)
        hidden = self.hidden_dims or (64 if self.form == 'houlsby' else max(1, width // 8))
        layer = Bottleneck(width, hidden, width, act=self.act, dropout=self.dropout)
        for linear in (layer.down, layer.up):
            std = self.init_std
            nn.init.trunc_normal_(linear.weight, std=std, a=-2 * std, b=2 * std)
            nn.init.zeros_(linear.bias)
        return layer

    def hook_options(self, site: BranchSite) -> dict[str, Any]:
        """Returns the side of LayerScale on which the bottleneck sits."""
        return dict(source='exit', after_scale=self.after_scale)
