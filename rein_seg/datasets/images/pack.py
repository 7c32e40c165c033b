"""The last step of a pipeline of whole images.

H x W image.
"""

from __future__ import annotations

from mmpretrain.datasets.transforms import PackInputs
from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackImageInputs(PackInputs):
    """Packs an image with its class as mmpretrain's `PackInputs` does, and keeps its domain.

    Args:
        meta_keys: As in mmpretrain, with ``domain``, ``max_value`` and ``orientation`` among the
            defaults.

    Example:
        >>> import numpy as np
        >>> from rein_seg.datasets import PackImageInputs
        >>> image = np.zeros((4, 8, 3), np.uint8)
        >>> packed = PackImageInputs()(dict(img=image, domain='own', gt_label=2))
        >>> packed['inputs'].shape, packed['data_samples'].domain, packed['data_samples'].gt_label
        (torch.Size([3, 4, 8]), 'own', tensor([2]))
    """

    def __init__(
        self,
        meta_keys: tuple[str, ...] = (
            'img_path',
            'ori_shape',
            'img_shape',
            'scale_factor',
            'flip',
            'flip_direction',
            'domain',
            'max_value',
            'orientation',
        ),
    ) -> None:
        super().__init__(meta_keys=meta_keys)
