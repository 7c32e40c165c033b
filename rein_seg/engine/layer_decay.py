"""Learning rates that fall from the last block of the encoder to the first.

L blocks of the encoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from rein_seg.errors import UserError
from rein_seg.rules import Probability, fits
from rein_seg.structures import Anatomy, JointSite, NormSite, OpSite, ParamSite, Site

_KEYS = ('factor', 'full_blocks')


class LayerDecay:
    """The factor of the learning rate of each parameter: factor ** (L - 1 - i) in block i.

    Patch embedding, positions, class and register tokens count as block 0. Final norm, heads, neck
    and all else outside the encoder keep their rate. A method's parameters count as the block that
    they act in: LoRA of block i has the rate of block i. A module that acts in several blocks, such
    as Rein's tokens, has the rate of the last of them. Between the stages of an encoder with
    several, parameters count as the block that follows.

    Args:
        model: A segmentor.
        factor: Above 0, at most 1.
        full_blocks: The last blocks, which keep the rate.
        place: In the config, for messages.

    Raises:
        UserError: If a value is out of range, or the model has no encoder with blocks.

    Source: Bao et al., "BEiT" (ICLR 2022), Sec. 3.2; ``full_blocks`` as in the code of Kerssies et
    al., "Your ViT is Secretly an Image Segmentation Model" (CVPR 2025).

    Example:
        >>> from torch import nn
        >>> from rein_seg.engine.layer_decay import LayerDecay
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> model = nn.Module()
        >>> model.backbone = PEFTBackbone(dict(type='TinyViT', init_seed=0), dict(type='Full'))
        >>> decay = LayerDecay(model, factor=0.5)
        >>> encoder = model.backbone.encoder
        >>> [decay[p] for p in (encoder.pos_embed, encoder.layers[6].ln1.weight)]
        [0.0078125, 0.5]
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        factor: float,
        full_blocks: int = 0,
        place: str = 'layer_decay',
    ) -> None:
        if not fits(factor, Probability) or factor == 0:
            raise UserError(f'{place}.factor={factor!r}: expected a number above 0, at most 1')
        backbone = getattr(model, 'backbone', None)
        anatomy = getattr(backbone, 'anatomy', None)
        if backbone is None or anatomy is None:
            raise UserError(
                f'{place}: {type(model).__name__} has no encoder with blocks; leave it out'
            )
        if type(full_blocks) is not int or not 0 <= full_blocks <= anatomy.num_blocks:
            raise UserError(
                f'{place}.full_blocks={full_blocks!r}: expected 0 to {anatomy.num_blocks}, the '
                'number of blocks of the encoder'
            )
        blocks: dict[nn.Parameter, int] = {}
        for param, block in _placed(backbone):
            blocks[param] = max(block, blocks.get(param, block))
        last = anatomy.num_blocks - 1
        self._factors = {
            param: 1.0 if block > last - full_blocks else factor ** (last - block)
            for param, block in blocks.items()
        }

    def __getitem__(self, param: nn.Parameter) -> float:
        return self._factors.get(param, 1.0)


def layer_decay_of(
    model: nn.Module, options: Mapping[str, Any] | None, place: str
) -> LayerDecay | None:
    """Returns the factors that ``paramwise_cfg.layer_decay`` asks for, None where it is absent.

    Args:
        model: A segmentor.
        options: ``factor`` and ``full_blocks``.
        place: In the config, for messages.

    Raises:
        UserError: If another key is there, ``factor`` is missing, or as `LayerDecay`.
    """
    if options is None:
        return None
    unknown = set(options) - set(_KEYS)
    if unknown or 'factor' not in options:
        raise UserError(f'{place}={dict(options)}: expected factor, and full_blocks where wanted')
    return LayerDecay(model, **options, place=place)


def _placed(backbone: Any) -> Iterator[tuple[nn.Parameter, int]]:
    """Yields each parameter of encoder and method, and the block that it counts as."""
    anatomy = backbone.anatomy
    behind = _behind_blocks(anatomy)
    for site in anatomy.find(ParamSite):
        yield site.param, _block(site, anatomy, behind)
    for param, site in backbone.peft.placed_parameters():
        yield param, _block(site, anatomy, behind)


def _behind_blocks(anatomy: Anatomy) -> set[nn.Module]:
    """Returns the modules behind the last block: final norm, joint space."""
    sites = [site for site in anatomy.sites if isinstance(site, OpSite | NormSite)]
    ends = [i for i, site in enumerate(sites) if site.block == anatomy.num_blocks - 1]
    return {site.tap.module for site in sites[max(ends, default=len(sites)) + 1 :]}


def _block(site: Site, anatomy: Anatomy, behind: set[nn.Module]) -> int:
    if site.block >= 0:
        return site.block
    module = None
    if isinstance(site, OpSite | NormSite | ParamSite):
        module = site.owner if isinstance(site, ParamSite) else site.tap.module
    if module in behind or isinstance(site, JointSite):
        return anatomy.num_blocks - 1
    return sum(anatomy.stage_depths[: max(site.stage, 0)])  # the first block of its stage
