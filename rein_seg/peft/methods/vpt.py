"""VPT: learned tokens beside the image's tokens in every block's attention.

B batch, P prompts, C channels of the stream, d width of the prompts, L blocks of a stage.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.peft.arguments import Count, Probability, Rule
from rein_seg.peft.base import PEFTMethod
from rein_seg.peft.context import Context
from rein_seg.peft.parts.sequences import sequences
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, JointSite, SeqSite

Span = Annotated[
    str, Rule("such as 'first 3' or 'last 4'", re.compile(r'(first|last) [1-9]\d*').fullmatch)
]


@PEFT_METHODS.register_module()
class VPT(PEFTMethod):
    """Inserts prompts into the token sequence: separate ones in each block, or the same in all.

    In a sequence they follow class and register tokens and have no position. In windowed attention
    every window sees all prompts, without positions, and they get the mean over the windows. The
    encoder's output has no prompts.

    Args:
        num_tokens: P.
        form: ``deep``: each block has its own prompts and drops them at its end. ``shallow``:
            prompts enter the first block and pass through all; where patches are merged, or a map
            is embedded, between stages, so are copies of each prompt.
        project_dims: d, from which one linear a stage leads to C; None takes d = C, without it.
        dropout: Probability for the prompts, in training.
        blocks: Blocks with prompts: ``first n``, ``last n``, or a list of indexes; None takes all.
        post_norm: Normalises the tokens that the joint image-text embedding is made of: a trained
            layer norm in front of the tower's own last norm, as in ZegCLIP. The maps of the encoder
            do not pass through it.

    Shapes:
        SEQ(block): P more tokens inside the block. JOINT: unchanged.

    Raises:
        UserError: If the encoder has no tokens (convolutions), fewer blocks than ``blocks``, or no
            joint embedding for ``post_norm``; or if shallow prompts would skip a block.

    Source: Jia et al., ECCV 2022, Sec. 3; ``blocks`` and ``post_norm``: the code of Zhou et al.,
    "ZegCLIP" (CVPR 2023). Differs from it: prompts see their own image only (its Swin mixes the
    images of a batch); on SAM, which it does not cover, as on Swin; convolutional encoders (there:
    pixels around the image) are refused.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='VPT', num_tokens=10))
        >>> sum(p.numel() for p in backbone.peft.parameters())
        15360
        >>> backbone.peft.prompts[0].shape
        torch.Size([8, 10, 192])
    """

    why_not_mergeable = 'prompts are further tokens, not weights'
    exact_at_start = False

    def __init__(
        self,
        num_tokens: Count = 150,
        *,
        form: Literal['deep', 'shallow'] = 'deep',
        project_dims: Count | None = None,
        dropout: Probability = 0.0,
        blocks: Span | Sequence[int] | None = None,
        post_norm: bool = False,
    ) -> None:
        super().__init__()
        self.num_tokens, self.form, self.project_dims = num_tokens, form, project_dims
        self.carries = form == 'shallow'
        self.blocks, self.post_norm = blocks, post_norm
        self.dropout = nn.Dropout(dropout)
        self.prompts = nn.ParameterList()
        self.projections = nn.ModuleList()

    def build(self, anatomy: Anatomy) -> None:
        """Makes the (L, P, d) prompts of each stage; shallow prompts belong to a single block."""
        sites = self.find_sites(anatomy)
        if self.form == 'shallow':
            sites = sites[:1]
        for stage in sorted({site.stage for site in sites}):
            own = [site for site in sites if site.stage == stage]
            width = self.project_dims or own[0].channels
            prompts = torch.empty(len(own), self.num_tokens, width)
            # the official start: as uniform as the weights of a patch embedding
            bound = math.sqrt(6 / (3 * anatomy.patch_size**2 + width))
            self.prompts.append(nn.Parameter(prompts.uniform_(-bound, bound)))
            if self.project_dims is not None:
                linear = nn.Linear(width, own[0].channels)
                nn.init.kaiming_normal_(linear.weight, mode='fan_out')
                self.projections.append(linear)
        if self.post_norm:
            self.norm = nn.LayerNorm(_joint_site(anatomy).channels, eps=1e-6)

    def connect(self, anatomy: Anatomy) -> None:
        """Hooks to the sequence of every chosen block, and to the joint embedding."""
        sites = self.find_sites(anatomy)
        self._places = _places(sites)
        for site in sites:
            if self.form == 'deep' or site is sites[0]:
                function = self.insert
            else:
                function = self.next_prompts
            # shallow prompts travel: each block but the last stores them for the next
            on_the_way = self.form == 'shallow' and site is not sites[-1]
            self.hook(site, function, collect=self.store_prompts if on_the_way else None)
        if self.post_norm:
            self.hook(_joint_site(anatomy), self.normalise)

    def find_sites(self, anatomy: Anatomy) -> list[SeqSite]:
        """Returns the sequences that get prompts.

        Raises:
            UserError: See `VPT`.
        """
        sites = _sites(anatomy, self.blocks)
        if self.form == 'shallow' and sites[-1].block - sites[0].block != len(sites) - 1:
            raise UserError(
                f'VPT blocks={self.blocks!r} skips a block, and prompts of form="shallow" pass '
                'from block to block: choose neighbours, or form="deep"'
            )
        return sites

    def insert(self, x: Tensor, context: Context) -> Tensor:
        """Returns the (B, P, C) prompts of a block."""
        stage, row = self._places[context.site.block]
        prompts = self.prompts[stage][row]
        if self.project_dims is not None:
            prompts = self.projections[stage](prompts)
        return self.dropout(prompts.expand(x.shape[0], -1, -1))

    def normalise(self, x: Tensor, context: Context) -> Tensor:
        """Returns the normalised tokens of the joint embedding."""
        return context.from_channels_last(self.norm(context.channels_last(x)))

    def next_prompts(self, x: Tensor, context: Context) -> Tensor:
        """Returns the prompts that left the previous block."""
        tokens, site = context.carried, context.site
        assert tokens is not None, 'no prompts came out of the block before'
        assert isinstance(site, SeqSite)
        return tokens if site.merging is None else merge(tokens, site.merging)

    def store_prompts(self, tokens: Tensor, context: Context) -> None:
        """Stores the prompts that left a block for the next block."""
        context.carry(tokens)


def merge(tokens: Tensor, merging: nn.Module) -> Tensor:
    """Merges four copies of each (B, P, C) token like patches: (B, P, D)."""
    copies = tokens.repeat_interleave(2, dim=1)[:, None].expand(-1, 2, -1, -1)  # (B, 2, 2P, C)
    return merging(copies)[:, 0]


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames the official prompts for `VPT`, its own authors' and ZegCLIP's.

    prompt_embeddings belong to the first block; deep_prompt_embeddings to the other blocks, or
    deep_prompt_embeddings_{s} to stage s; prompt_proj is the linear, prompt_norm the norm, which
    files of shallow prompts hold, too, and do not use.

    Args:
        state: Tensors by official name.

    Example:
        >>> import torch
        >>> from rein_seg.peft.methods.vpt import from_official
        >>> names = {'prompt_embeddings': 1, 'deep_prompt_embeddings': 11}
        >>> prompts = from_official({name: torch.zeros(n, 10, 768) for name, n in names.items()})
        >>> prompts['prompts.0'].shape
        torch.Size([12, 10, 768])
    """
    deep = {k: v for k, v in state.items() if k.startswith('deep_prompt_embeddings')}
    own = {'prompts.0': state['prompt_embeddings']} if 'prompt_embeddings' in state else {}
    for name, tensor in deep.items():
        stage = int(name.rpartition('_')[2]) if name[-1].isdigit() else 0
        ahead = [own['prompts.0']] if stage == 0 and own else []
        own[f'prompts.{stage}'] = torch.cat([*ahead, tensor])
    layers = {'prompt_proj': 'projections.0'} | ({'prompt_norm': 'norm'} if deep else {})
    for theirs, ours in layers.items():
        for leaf in ('weight', 'bias'):
            if f'{theirs}.{leaf}' in state:
                own[f'{ours}.{leaf}'] = state[f'{theirs}.{leaf}']
    return own


def _sites(anatomy: Anatomy, blocks: str | Sequence[int] | None) -> list[SeqSite]:
    sites = sequences(anatomy, 'VPT')
    if blocks is None:
        return sites
    if not isinstance(blocks, str):
        return list(anatomy.find(SeqSite, blocks=blocks))
    end, number = blocks.split()
    count = int(number)
    if count > len(sites):
        raise UserError(
            f'VPT blocks={blocks!r}: the {anatomy.family!r} encoder has {len(sites)} blocks with '
            'tokens; choose at most as many'
        )
    return sites[:count] if end == 'first' else sites[-count:]


def _places(sites: Sequence[SeqSite]) -> dict[int, tuple[int, int]]:
    """Returns the place of each block's prompts: index of their stage, and row in it."""
    stages = sorted({site.stage for site in sites})
    rows = {stage: [s.block for s in sites if s.stage == stage] for stage in stages}
    return {
        site.block: (stages.index(site.stage), rows[site.stage].index(site.block)) for site in sites
    }


def _joint_site(anatomy: Anatomy) -> JointSite:
    found = [site for site in anatomy.sites if isinstance(site, JointSite)]
    if not found:
        raise UserError(
            'VPT post_norm=True normalises the tokens of the joint image-text embedding, and the '
            f'{anatomy.family!r} encoder has no such embedding: leave post_norm out, or take a '
            'tower of CLIP with joint_dims'
        )
    return found[0]
