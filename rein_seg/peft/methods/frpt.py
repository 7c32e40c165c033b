"""FRPT: the image itself is re-sampled, guided by the frozen encoder's features of it.

B batch, C channels, H x W image.
"""

from __future__ import annotations

from typing import Annotated, Literal

from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.peft.arguments import ODD, Count, Positive, at_least
from rein_seg.peft.base import PEFTMethod
from rein_seg.peft.parts.image_sampler import Filter, ImageSampler
from rein_seg.registry import PEFT_METHODS
from rein_seg.structures import Anatomy, Features


@PEFT_METHODS.register_module()
class FRPT(PEFTMethod):
    """Enlarges the parts of an image that attention finds, before the encoder sees it again.

    The frozen encoder runs twice. One of its maps of the first pass makes the attention of the
    structure perturbation prompt, an `ImageSampler`; the second pass gets the re-sampled image, of
    the same size. The category-specific awareness head of the paper belongs to the head for images,
    `RetrievalHead`.

    Args:
        form: ``paper``: a 31x31 convolution of the first map, and a fixed Gaussian.
            ``repository``: a 1x1 convolution of the ReLU of the last map but one, and a Gaussian
            that learns.
        stage: Index of the map that makes the attention, among the encoder's output maps; None
            takes the map of the form. Of a plain ViT the maps are blocks of one size.
        kernel_size: Of the convolution; None takes the size of the form.
        grid_size: Places along a side of the attention.
        padding: Places around it; the Gaussian covers 2 * padding + 1.
        width: Full width of the Gaussian at half maximum, in places; where it learns, at the start.
        zero_init: Starts the convolution at zero: all places have the same attention, and the image
            changes at its border only.
        official: For the form ``repository``: every weight of the Gaussian learns, as in its code,
            and may turn negative. Without it the width learns.

    Shapes:
        IMAGE: (B, 3, H, W) -> (B, 3, H, W).

    Raises:
        UserError: If the encoder has no map ``stage``, or ``official`` is given for the paper's
            form.

    Source: Wang et al., AAAI 2023 (arXiv 2207.14465), equations 1 to 5. Differs from it: the paper
        gives no sizes of grid, padding and Gaussian, which are of its repository, and says nothing
        about the start of the convolution, which is PyTorch's. There is no bias, since a softmax
        follows.

    Example:
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> tiny = dict(type='TinyViT', init_seed=0)
        >>> backbone = PEFTBackbone(tiny, dict(type='FRPT', form='repository'))
        >>> {name: p.numel() for name, p in backbone.peft.named_parameters()}
        {'sample.conv_last.weight': 192, 'sample.filter.log_scale': 1}
    """

    exact_at_start = False
    looks_first = True
    moves_pixels = True
    no_weight_decay = ('log_scale',)
    why_not_mergeable = 'it changes the image, not a weight'

    def __init__(
        self,
        form: Literal['paper', 'repository'] = 'paper',
        *,
        stage: int | None = None,
        kernel_size: Annotated[int, at_least(1), ODD] | None = None,
        grid_size: Annotated[int, at_least(2)] = 31,
        padding: Count = 30,
        width: Positive = 13.0,
        zero_init: bool = False,
        official: bool = False,
    ) -> None:
        super().__init__()
        if official and form == 'paper':
            raise UserError(
                "FRPT official=True: expected form='repository', since the Gaussian of the form "
                'paper does not learn; leave official out'
            )
        self.form, self.stage, self.official, self.zero_init = form, stage, official, zero_init
        self.kernel_size = kernel_size or (31 if form == 'paper' else 1)
        self.grid_size, self.padding, self.width = grid_size, padding, width

    def build(self, anatomy: Anatomy) -> None:
        """Makes the sampler."""
        learns: Filter = 'weights' if self.official else 'width'
        self._index = self._map_index(anatomy)
        self.sample = ImageSampler(
            anatomy.out_channels[self._index],
            kernel_size=self.kernel_size,
            relu=self.form == 'repository',
            grid_size=self.grid_size,
            padding=self.padding,
            width=self.width,
            trains='fixed' if self.form == 'paper' else learns,
        )
        if self.zero_init:
            nn.init.zeros_(self.sample.conv_last.weight)

    def prepare(self, image: Tensor, first: Features) -> Tensor:
        """Returns the re-sampled image."""
        return self.sample(first.maps[self._index], image)

    def _map_index(self, anatomy: Anatomy) -> int:
        count = len(anatomy.out_channels)
        if self.stage is None:
            return 0 if self.form == 'paper' else max(0, count - 2)
        if not -count <= self.stage < count:
            raise UserError(
                f'FRPT stage={self.stage}: the {anatomy.family!r} encoder gives {count} maps, '
                f'expected {-count} to {count - 1}; choose a map, or give the encoder more '
                'out_indices'
            )
        return self.stage
