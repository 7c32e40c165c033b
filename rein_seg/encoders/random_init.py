"""Random weights for tests and demonstrations, better than their layers' defaults would be.

C channels, H x W grid, p patch side.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.structures import Anatomy, OpSite

# factor of fc1: by default its outputs are so small that the nonlinearity is nearly linear
_GAIN = 3.0
# grey, blue against yellow, red against green; pictures vary least in the last two
_COLOURS = ((1.0, 1.0, 1.0), (1.0, 1.0, -2.0), (1.0, -1.0, 0.0))
_COLOUR_GAINS = (1.0, 3.0, 3.0)


def draw_weights(encoder: nn.Module, seed: int) -> None:
    """Draws random weights from ``seed`` alone; the global generator stays as it is.

    Positions are sines and cosines, as in MAE: random positions would hide the place of a patch,
    and in a street scene the place already tells much about the class. An encoder with a rule of
    its own, ``reset_parameters``, draws by it.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.plain_vit import TinyViT
        >>> from rein_seg.encoders.random_init import draw_weights
        >>> encoders = [TinyViT(), TinyViT()]
        >>> for encoder in encoders:
        ...     draw_weights(encoder, seed=0)
        >>> torch.equal(encoders[0].cls_token, encoders[1].cls_token)
        True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if hasattr(encoder, 'reset_parameters'):
            encoder.reset_parameters()
            return
        for module in encoder.modules():
            if hasattr(module, 'reset_parameters'):
                module.reset_parameters()
            else:  # class and register tokens belong to no layer
                for param in module.parameters(recurse=False):
                    if param.dim() > 1:
                        nn.init.trunc_normal_(param, std=0.02)
    if hasattr(encoder, 'pos_embed') and hasattr(encoder, 'patch_resolution'):
        prefix = encoder.num_extra_tokens
        with torch.no_grad():
            table = encoder.pos_embed[:, prefix:]  # (1, H W, C), or (1, H, W, C) as SAM's
            sines = sine_positions(encoder.patch_resolution, encoder.embed_dims)
            table.copy_(sines.view_as(table))


def draw_filters(anatomy: Anatomy, seed: int) -> None:
    """Makes a transformer with random weights sensitive to texture.

    A picture's power falls with frequency, so patch filters of white noise respond to little else
    than a patch's mean. Here a filter is a random sum of cosine waves, which grow with the square
    of their frequency to compensate. fc1 of each block is three times as strong, so that the
    blocks' nonlinearity turns waves into their energy.

    Raises:
        UserError: If the encoder has no patch embedding with one stride, or no fc1.
    """
    ops = [site for site in anatomy.sites if isinstance(site, OpSite)]
    patches = [site.module for site in ops if site.role == 'patch']
    hidden = [site.module for site in ops if site.role == 'fc1']
    if len(patches) != 1 or patches[0].weight.dim() != 4 or not hidden:
        raise UserError(
            f'encoder.init_filters=True is for vision transformers; {anatomy.family!r} has '
            f'{len(patches)} patch embeddings and {len(hidden)} layers fc1: leave it out'
        )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        weight = patches[0].weight
        weight.copy_(patch_filters(weight.shape[0], weight.shape[-1], generator=generator))
        for layer in hidden:
            layer.weight.mul_(_GAIN)


def patch_filters(channels: int, side: int, *, generator: torch.Generator) -> Tensor:
    """Returns (C, 3, p, p) random filters whose responses to normalised pictures are about 1.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.random_init import patch_filters
        >>> patch_filters(64, 8, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([64, 3, 8, 8])
    """
    steps = torch.arange(side)
    waves = torch.cos(math.pi * (steps + 0.5) * steps[:, None] / side)
    waves = waves / waves.norm(dim=1, keepdim=True)  # (p, p): frequency, place
    colours = torch.tensor(_COLOURS)
    colours = colours / colours.norm(dim=1, keepdim=True) * torch.tensor(_COLOUR_GAINS)[:, None]
    amounts = torch.randn(channels, 3, side, side, generator=generator)
    amounts = amounts * (1.0 + steps[:, None] ** 2 + steps**2) / (side * side)
    return torch.einsum('ckuv,kr,uy,vx->cryx', amounts, colours, waves, waves)


def sine_positions(grid: tuple[int, int], channels: int) -> Tensor:
    """Returns (1, H W, C) sines and cosines: half of C for the row, the other half for the column.

    Raises:
        UserError: If C is not a multiple of four.

    Example:
        >>> from rein_seg.encoders.random_init import sine_positions
        >>> sine_positions((2, 3), 4)[0, -1]
        tensor([ 0.8415,  0.5403,  0.9093, -0.4161])
    """
    if channels % 4:
        raise UserError(f'sine positions need a width divisible by 4, not {channels}')
    frequency = 10000 ** -(torch.arange(channels // 4) / (channels // 4))
    angles = [torch.arange(side)[:, None] * frequency for side in grid]
    rows, columns = (torch.cat((a.sin(), a.cos()), dim=1) for a in angles)
    height, width = grid
    table = torch.cat(
        (
            rows[:, None].expand(height, width, -1),
            columns[None].expand(height, width, -1),
        ),
        dim=-1,
    )
    return table.reshape(1, height * width, channels)
