"""Regions of an image through a frozen CLIP: the classes that their pictures look like.

R regions, Q masks, K classes, D joint width, H x W image, S side of a resized picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.building import building
from rein_seg.encoders import find_anatomy
from rein_seg.encoders.shapes_only import is_shapes_only
from rein_seg.errors import UserError
from rein_seg.models.backbone import PEFTBackbone
from rein_seg.models.regions.crops import crop_regions
from rein_seg.models.text_config import TextReader, source_of
from rein_seg.rules import Count, Positive, Probability
from rein_seg.text import TextBranch
from rein_seg.text.files import NoTextTower
from rein_seg.text.source import build_source

_SCALE = 100.0  # of cosines, as in training of OpenAI's models


@MODELS.register_module()
class RegionCLIP(TextReader, nn.Module):
    """Cuts the regions of masks out of an image and compares them with the names of classes.

    Of each mask: the tight box of its pixels above a threshold, cut out, the mean colour outside,
    normalised, resized bicubically without antialiasing. The pictures of an image pass the frozen
    image tower together. No tensor is in a state dict.

    Args:
        encoder: Config of CLIP's image tower, with ``joint_dims``. None takes the encoder of the
            backbone, as it is without the tuning method, if that is a CLIP.
        text: Config of a `TextBranch` for the regions, where queries read the classes in other
            words; None compares with the text of the queries. `TwoStageSegmentor` builds it.
        threshold: A pixel belongs to the region of a mask if its probability is larger.
        expand: Factor of the sides of a box, 1 or more.
        matting: Mixes picture and mean colour by the probability; else by the region, 0 or 1.
        fill: Colour outside: ``mean`` of the tower's images, or ``zero``, black.
        size: S in pixels, or (height, width).
        batch_regions: Pictures in one pass of the tower.
        mean: Of the tower's images, RGB, 0..255; default: of the config of the encoder.
        std: As ``mean``.

    Attributes:
        backbone: The own tower, or None.
        words: The own text branch, or None.

    Raises:
        UserError: If an option is out of range, or the own tower has no joint space.

    Source: Xu et al., ECCV 2022 (A Simple Baseline), Sec. 3.3.

    Example:
        >>> import torch
        >>> import rein_seg.apis
        >>> from rein_seg.models.regions import RegionCLIP
        >>> tower = dict(type='TinyCLIP', checkpoint='package:tinyclip.safetensors')
        >>> regions = RegionCLIP(tower, size=64)
        >>> masks = torch.rand(5, 48, 80)
        >>> logits, valid = regions(torch.rand(3, 48, 80) * 255, masks, torch.eye(4, 128))
        >>> logits.shape, valid.tolist(), len(regions.state_dict())
        (torch.Size([5, 4]), [True, True, True, True, True], 0)
    """

    filled_in = ('joint_dims', 'text_dims')
    words: TextBranch | None

    def __init__(
        self,
        encoder: Mapping[str, Any] | None = None,
        *,
        text: Mapping[str, Any] | None = None,
        threshold: Probability = 0.5,
        expand: Positive = 1.0,
        matting: bool = False,
        fill: Literal['mean', 'zero'] = 'mean',
        size: Count | Sequence[int] = 224,
        batch_regions: Count = 64,
        mean: Sequence[float] | None = None,
        std: Sequence[Positive] | None = None,
    ) -> None:
        super().__init__()
        _check(threshold=threshold, expand=expand, fill=fill, batch_regions=batch_regions)
        _check_lengths(size=size, mean=mean, std=std)
        self.threshold, self.expand, self.matting, self.fill = threshold, expand, matting, fill
        self.size = (size, size) if isinstance(size, int) else (size[0], size[1])
        self.batch_regions, self._mean, self._std = batch_regions, mean, std
        self.text_cfg, self.words = text, None
        self.backbone: PEFTBackbone | None = None
        if encoder is not None:
            with building('model.regions.encoder'):
                self.backbone = PEFTBackbone(encoder, dict(type='Frozen'))
            check_tower(self.backbone, self.size)

    @classmethod
    def facts(cls, cfg: Mapping[str, Any]) -> tuple[str, ...]:
        """Returns the facts of the model that it reads: with a tower of its own the text alone."""
        return cls.filled_in if cfg.get('encoder') is None else ('text_dims',)

    def forward(
        self,
        image: Tensor,
        masks: Tensor,
        table: Tensor,
        tower: PEFTBackbone | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Returns (R, K) logits of regions, 100 times cosines, and (Q,) bool: masks with a region.

        Args:
            image: (3, H, W), RGB, 0..255.
            masks: (Q, H, W) probabilities.
            table: (K, D) embeddings of the classes.
            tower: The backbone whose encoder serves; default: the own.
        """
        tower = self.backbone if tower is None else tower
        assert tower is not None, 'TwoStageSegmentor gives its backbone'
        pictures, valid = self.pictures(image, masks, tower)
        table = F.normalize(table.float(), dim=1)
        parts = pictures.split(self.batch_regions) if len(pictures) else ()
        embeddings = [_embed(tower, part) for part in parts]
        joined = torch.cat([table.new_zeros(0, table.shape[1]), *embeddings])
        # in bfloat16, cosines of near classes would be ties
        with torch.autocast(image.device.type, enabled=False):
            return _SCALE * joined @ table.T, valid

    def pictures(
        self, image: Tensor, masks: Tensor, tower: PEFTBackbone | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns (R, 3, S, S) normalised pictures of regions, and (Q,) bool; see `forward`."""
        mean, std = self._normalisation(image, tower or self.backbone)
        colour = mean if self.fill == 'mean' else torch.zeros_like(mean)
        crops, _, valid = crop_regions(
            image,
            masks,
            colour,
            threshold=self.threshold,
            expand=self.expand,
            matting=self.matting,
        )
        if not crops:
            return image.new_zeros(0, 3, *self.size), valid
        normalised = [(crop - mean[:, None, None]) / std[:, None, None] for crop in crops]
        resized = [
            F.interpolate(crop[None], self.size, mode='bicubic', align_corners=False)
            for crop in normalised
        ]
        return torch.cat(resized), valid

    def _normalisation(self, image: Tensor, tower: PEFTBackbone | None) -> tuple[Tensor, Tensor]:
        info = None if tower is None else tower.encoder_info
        mean = self._mean or (info and info.mean)
        std = self._std or (info and info.std)
        return image.new_tensor(mean), image.new_tensor(std)


def _embed(tower: PEFTBackbone, pictures: Tensor) -> Tensor:
    """Returns (R, D) embeddings of length 1."""
    joint = tower.alone(pictures).joint
    assert joint is not None  # see `check_tower`
    return F.normalize(joint[0].float(), dim=1)


def _check(*, threshold: float, expand: float, fill: str, batch_regions: int) -> None:
    if not 0 <= threshold < 1:
        raise UserError(
            f'model.regions.threshold={threshold}: expected a probability, 0 or more and below 1, '
            'since no mask has a pixel above 1; the settings of the paper have 0.3 to 0.5'
        )
    if expand < 1:
        raise UserError(
            f'model.regions.expand={expand}: expected a factor of 1 or more, since a smaller box '
            'would cut the region; 1 keeps tight boxes'
        )
    if fill not in ('mean', 'zero'):
        raise UserError(f'model.regions.fill={fill!r}: expected mean or zero; choose one')
    if batch_regions < 1:
        raise UserError(f'model.regions.batch_regions={batch_regions}: expected 1 or more; 64 does')


def _check_lengths(*, size: Any, mean: Any, std: Any) -> None:
    if not isinstance(size, int) and len(size) != 2:
        raise UserError(
            f'model.regions.size={size}: expected pixels of a side, or (height, width); set it to '
            '224 for CLIP'
        )
    for name, values in (('mean', mean), ('std', std)):
        if values is not None and (len(values) != 3 or (name == 'std' and min(values) <= 0)):
            above = ' above 0' if name == 'std' else ''
            raise UserError(
                f'model.regions.{name}={values}: expected three numbers{above}, of red, green and '
                "blue; leave it out to take the encoder's"
            )


def check_tower(backbone: PEFTBackbone, size: tuple[int, int]) -> None:
    """Checks that the encoder of a backbone embeds pictures of a size, frozen.

    Args:
        backbone: The tower.
        size: (height, width) of the pictures in pixels.

    Raises:
        UserError: If it has no joint space, a tuning method trains or replaces its own weights, or
            takes no pictures of that size.
    """
    name, anatomy = backbone.encoder_info.name, find_anatomy(backbone.encoder)
    if anatomy.joint_dims is None:
        raise UserError(
            f'model.regions: encoder {name!r} has no space that image and text share, which the '
            'classes of regions are read in: expected CLIPViT, CLIPResNet or TinyCLIP with '
            'joint_dims; set model.regions.encoder'
        )
    if backbone.peft.owned_parameters(backbone.anatomy):
        raise UserError(
            f'model.regions shares encoder {name!r} with the backbone, whose method '
            f'{type(backbone.peft).__name__} trains weights of it: expected a frozen tower; give '
            'model.regions an encoder of its own, or take another method'
        )
    if any(side % anatomy.divisor for side in size):
        nearest = tuple(max(1, round(side / anatomy.divisor)) * anatomy.divisor for side in size)
        raise UserError(
            f'model.regions.size={size}: expected multiples of the patch of encoder {name!r}, '
            f'{anatomy.divisor} pixels; set it to {nearest}'
        )
    if anatomy.check_size is not None:
        anatomy.check_size(size)


def check_same_clip(text: TextBranch, backbone: PEFTBackbone, encoder: Mapping[str, Any]) -> None:
    """Checks that regions are compared with texts of their own CLIP.

    Args:
        text: The text branch.
        backbone: The image tower.
        encoder: Its config.

    Raises:
        UserError: If width or text tower differ.
    """
    dims = backbone.joint_dims
    if text.dims != dims:
        raise UserError(
            f'model.regions compares pictures of width {dims} with text of width {text.dims}: '
            "expected both of one CLIP; give the text branch the tower of the regions' encoder"
        )
    tower = source_of(encoder).get('tower') or {}
    if is_shapes_only() or 'checkpoint' not in tower or not text.source.startswith('sha256:'):
        return
    try:
        own = build_source(tower).name
    except NoTextTower:  # the file holds the image tower alone
        return
    if own != text.source:
        raise UserError(
            f'model.regions: the text is of another CLIP ({text.source[:19]}...) than encoder '
            f'{backbone.encoder_info.name!r} ({own[:19]}...): expected one file for both; set the '
            "tower of the text to the encoder's checkpoint"
        )
