"""PMT: a plain transformer decodes queries and the features of several depths.

B batch, Q queries, K classes, C channels, h heads, P prefix tokens, M blocks, L predictions, H x W
grid of N patches, h x w masks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.heads.contract import DecodeHead, Index, check_several
from rein_seg.heads.plain_masks.head import PlainMaskHead, Prediction
from rein_seg.heads.pmt.blocks import DecoderBlock
from rein_seg.heads.pmt.levels import Lateral, decoder_map, lateral_projection, level_tokens
from rein_seg.heads.pmt.rotary import ScaleDraws, rotary_table
from rein_seg.peft.arguments import checked
from rein_seg.rules import Count, at_least
from rein_seg.structures import Features


@MODELS.register_module()
class PMTHead(PlainMaskHead):
    """Predicts Q pairs of class and mask with M transformer blocks on a sum of feature levels.

    Each level, the final-normed tokens f of one block of the encoder, passes a batch norm and adds
    ``scaler * (f + projection(f))`` to the sum. Its tokens and the queries pass the blocks
    together. In front of each block the queries predict class and mask, and a query attends to the
    patches in its mask only, with the probability ``attn_mask_probs`` of the block, which training
    lowers from 1 to 0. Then the blocks run without a mask in tests, and nothing is predicted before
    the last.

    On maps of several strides or widths (Swin, ConvNeXt and other networks with stages, SAM behind
    its neck) the decoder takes grid and width of the map whose stride is nearest to 16. Larger maps
    are averaged to its grid, smaller maps resized bilinearly, and a linear in front of the lateral
    projection brings other widths to C. Encoders without class and register tokens give patches
    alone (P = 0). This recipe is ours.

    Args:
        in_channels: C_i of each map; filled in by the segmentor.
        num_classes: K; filled in by the segmentor.
        in_strides: Pixels a step of each map; filled in by the segmentor.
        in_index: Maps to read; filled in by the segmentor with all maps.
        query_dims: Width of the method's queries, which must be C; None learns Q queries. Filled in
            by the segmentor.
        encoder_heads: Heads of the encoder's attention, or None; filled in by the segmentor.
        encoder_rotary: Whether the encoder has rotary positions; filled in by the segmentor.
        num_queries: Q.
        num_blocks: M.
        num_heads: h. None takes the encoder's, and heads of 64 channels or more where the encoder
            has none that fit C.
        feedforward_channels: Hidden width of the blocks; None takes C, as all published models do.
        lateral_projection: Of each level: ``mlp``, ``linear`` or ``identity``.
        residual_projection: Whether a level is added to its projection.
        lateral_bn: Whether each level passes a batch norm.
        rescale_coords: In training the coordinates of the rotary positions are multiplied with a
            random factor between its inverse and it; 1 leaves them as they are. None takes 1 for
            an encoder with rotary positions, and 2 for others.
        masked_attention: False trains without masks and predicts once.
        upscale_channels: Width of the upscale blocks and of the masks, after a linear; None keeps
            C, as officially.
        loss: Arguments of `SetLoss`.
        ignore_index: Label of pixels that belong to no mask.

    Shapes:
        `Features` with maps, and prefix tokens (B, P, C) of each or None -> class logits
        (L, B, Q, K+1), mask logits (L, B, Q, h, w); `predict` -> scores (B, K, H, W): sums of class
        probability times mask probability.

    Raises:
        UserError: If an argument is not as above, the strides are not known, as behind a neck, or
            the width is not a multiple of four channels a head.

    Source: Cavagnero et al., "PMT" (CVPR Workshops 2026). Parameters have the official names,
    without ``decoder.``. Differs from it: in tests a block masks all queries or none (officially it
    draws in tests, too, where the probability is between 0 and 1); a method in the encoder is
    trained through the levels.

    Example:
        >>> import torch
        >>> from rein_seg.heads import PMTHead
        >>> from rein_seg.structures import Features
        >>> head = PMTHead([8, 8], num_classes=3, in_strides=[16, 16], num_queries=5, num_blocks=2)
        >>> maps = (torch.randn(1, 8, 4, 6), torch.randn(1, 8, 4, 6))
        >>> prefix = (torch.randn(1, 5, 8), torch.randn(1, 5, 8))
        >>> head.eval().predict(Features(maps=maps, prefix=prefix), (64, 96)).shape
        torch.Size([1, 3, 64, 96])
        >>> losses = head.loss(Features(maps=maps), torch.zeros(1, 64, 96, dtype=torch.long))
        >>> [name for name in losses if name.endswith('cls')]
        ['d0.loss_cls', 'd1.loss_cls', 'loss_cls']
    """

    filled_in = (
        *DecodeHead.filled_in,
        'in_strides',
        'query_dims',
        'encoder_heads',
        'encoder_rotary',
    )
    reads_norm = reads_prefix = 'if_there'
    scale_draws = ScaleDraws()

    @checked
    def __init__(
        self,
        in_channels: Sequence[int] | int,
        *,
        num_classes: int,
        in_strides: Sequence[int] | int | None,
        in_index: Index | None = None,
        query_dims: int | None = None,
        encoder_heads: int | None = None,
        encoder_rotary: bool = False,
        num_queries: Count = 100,
        num_blocks: Count = 6,
        num_heads: Count | None = None,
        feedforward_channels: Count | None = None,
        lateral_projection: Lateral = 'mlp',
        residual_projection: bool = True,
        lateral_bn: bool = True,
        rescale_coords: Annotated[float, at_least(1)] | None = None,
        masked_attention: bool = True,
        upscale_channels: Count | None = None,
        loss: Mapping[str, Any] | None = None,
        ignore_index: int = 255,
        init_cfg: dict | None = None,
    ) -> None:
        check_several('PMTHead', in_index)
        assert not isinstance(in_channels, int), in_channels
        strides = _known(in_strides)
        target = decoder_map(in_channels, strides)
        channels = in_channels[target]
        super().__init__(
            channels,
            strides[target],
            num_classes=num_classes,
            num_queries=num_queries,
            num_blocks=num_blocks,
            query_dims=query_dims,
            masked_attention=masked_attention,
            upscale_channels=upscale_channels,
            loss=loss,
            ignore_index=ignore_index,
            init_cfg=init_cfg,
        )
        self.in_index = tuple(range(len(in_channels)) if in_index is None else in_index)
        self.target, self.residual = target, residual_projection
        heads = _heads(channels, num_heads, encoder_heads)
        self.head_dims = channels // heads
        if rescale_coords is None:
            rescale_coords = 1.0 if encoder_rotary else 2.0
        self.rescale_coords = rescale_coords
        self._build_levels(in_channels, channels, lateral_projection, lateral_bn)
        hidden = channels if feedforward_channels is None else feedforward_channels
        self.blocks = nn.ModuleList(
            DecoderBlock(channels, num_heads=heads, hidden=hidden) for _ in range(num_blocks)
        )
        self.decoder_norm = nn.LayerNorm(channels)

    def _build_levels(
        self, widths: Sequence[int], channels: int, projection: Lateral, norm: bool
    ) -> None:
        self.bn = nn.ModuleList(
            nn.BatchNorm1d(width) if norm else nn.Identity() for width in widths
        )
        self.widening = nn.ModuleList(
            nn.Identity() if width == channels else nn.Linear(width, channels) for width in widths
        )
        self.lateral_projections = nn.ModuleList(
            lateral_projection(projection, channels) for _ in widths
        )
        self.scalers = nn.ParameterList(nn.Parameter(torch.ones(channels)) for _ in widths)

    def fuse(self, features: Features) -> tuple[Tensor, tuple[int, int]]:
        """Returns the sum of the levels, (B, P+N, C), and the grid (H, W) of its patches."""
        height, width = features.maps[self.in_index[self.target]].shape[-2:]
        total: Tensor | None = None
        for level, index in enumerate(self.in_index):
            prefix = None if features.prefix is None else features.prefix[index]
            tokens = level_tokens(features.maps[index], prefix, (height, width))
            # as rows: statistics are of all images and tokens
            tokens = self.bn[level](tokens.flatten(0, 1)).view_as(tokens)
            tokens = self.widening[level](tokens)
            projected = self.lateral_projections[level](tokens)
            if self.residual:
                projected = tokens + projected
            scaled = projected * self.scalers[level]
            total = scaled if total is None else total + scaled
        assert total is not None
        return total, (height, width)

    def predictions(self, features: Features) -> list[Prediction]:
        """Returns the L predictions, in front of the blocks that mask, and after the last."""
        x, grid = self.fuse(features)
        table = rotary_table(grid, self.head_dims, scale=self._scale(x.device), device=x.device)
        queries = self.first_queries(len(x), features.queries)
        number, x = queries.shape[1], torch.cat((queries, x), dim=1)
        found = []
        for index, (block, probability) in enumerate(zip(self.blocks, self.plan(), strict=True)):
            look = None
            if probability is not None:
                found.append(self._predict(x, number, grid))
                look = self.look(found[-1][1], grid, index, probability)
            x = block(x, table, look)
        return [*found, self._predict(x, number, grid)]

    def _scale(self, device: torch.device) -> Tensor | float:
        if self.training and self.rescale_coords > 1:
            return self.scale_draws.factor(self.rescale_coords, device)
        return 1.0

    def _predict(self, x: Tensor, number: int, grid: tuple[int, int]) -> Prediction:
        x = self.decoder_norm(x)
        patches = x[:, -grid[0] * grid[1] :].transpose(1, 2).unflatten(2, grid)
        return self.predict_tokens(x[:, :number], patches)


def _known(strides: Sequence[int] | int | None) -> Sequence[int]:
    if strides is None:
        raise UserError(
            "PMTHead reads the encoder's own maps and tokens, and a neck stands in front of it: "
            'expected strides of maps; leave model.neck out'
        )
    assert not isinstance(strides, int), strides
    return strides


def _heads(channels: int, wanted: int | None, of_encoder: int | None) -> int:
    """Returns the number of heads: as wanted, else the encoder's if it fits, else 64 channels each.

    Each head has a multiple of four channels, for rotary positions.
    """
    if wanted is not None:
        if channels % (4 * wanted):
            raise UserError(
                f'PMTHead num_heads={wanted}: expected heads of 4, 8, 12, ... channels, and '
                f'{channels} channels come; choose another number, or leave it out'
            )
        return wanted
    if of_encoder is not None and channels % (4 * of_encoder) == 0:
        return of_encoder
    fitting = [n for n in range(1, max(channels // 64, 1) + 1) if channels % (4 * n) == 0]
    if not fitting:
        raise UserError(
            f'PMTHead: maps of {channels} channels, expected a multiple of 4 for rotary positions; '
            'set decode_head.in_index to maps of another width'
        )
    return fitting[-1]
