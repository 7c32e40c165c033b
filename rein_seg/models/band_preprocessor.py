"""Normalises images of several bands on the device of the model.

B batch, N bands, H x W image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS

from rein_seg.bands import short_list
from rein_seg.errors import UserError


@MODELS.register_module()
class BandPreProcessor(SegDataPreProcessor):
    """mmseg's preprocessor for N bands: each minus its mean, divided by its deviation.

    Args:
        names: Of the bands.
        mean: Of each band.
        std: Standard deviation of each band.
        **kwargs: As mmseg's `SegDataPreProcessor`: ``size`` or ``size_divisor``, ``pad_val``,
            ``seg_pad_val``.

    Raises:
        UserError: If the lists differ in length.

    Example:
        >>> import torch
        >>> from rein_seg.models.band_preprocessor import BandPreProcessor
        >>> preprocessor = BandPreProcessor(['nir', 'height'], [4, 10], [2, 5], size_divisor=1)
        >>> images = preprocessor(dict(inputs=[torch.full((2, 1, 1), 20)]))['inputs']
        >>> images.flatten().tolist()
        [8.0, 2.0]
    """

    def __init__(
        self, names: Sequence[str], mean: Sequence[float], std: Sequence[float], **kwargs: Any
    ) -> None:
        if not len(names) == len(mean) == len(std):
            raise UserError(
                f'data_preprocessor has {len(names)} names, {len(mean)} mean and {len(std)} std: '
                'expected one of each for each band'
            )
        super().__init__(**kwargs)
        self.names = tuple(names)
        self._enable_normalize = True
        for key, values in (('mean', mean), ('std', std)):
            tensor = torch.tensor(list(values), dtype=torch.float32).view(-1, 1, 1)
            self.register_buffer(key, tensor, persistent=False)

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        """Returns normalised images, padded as mmseg pads.

        Args:
            data: ``inputs``, a list of (N, H, W), and ``data_samples``.
            training: Whether to pad labels, too.

        Raises:
            UserError: If an image has another number of bands.
        """
        for index, image in enumerate(data['inputs']):
            if image.shape[0] != len(self.names):
                samples = data.get('data_samples')
                path = getattr(samples[index], 'img_path', '') if samples else ''
                raise UserError(
                    f'image {path!r} has {image.shape[0]} bands: the model takes '
                    f'{short_list(self.names)}; give the data set bands'
                )
        return super().forward(data, training)
