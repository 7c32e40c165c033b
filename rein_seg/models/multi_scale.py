"""Training batches at several sizes, one size a batch.

B batch, H x W crop.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine import dist
from mmengine.optim import OptimWrapper
from torch import Tensor

from rein_seg.errors import UserError
from rein_seg.heads.mmseg_head import as_samples

FORMS = ('one', 'each')
RATIOS = (0.75, 1.0, 1.25)
_STEP = 32  # pixels: sides are rounded to multiples


class MultiScale:
    """Resizes training batches, images bilinearly and labels to the nearest pixel.

    It acts on whole batches, after they are normalised and padded, so all images of a batch have
    one size, on the GPU too. The size is drawn from Python's generator, which `IterationSeedHook`
    seeds by iteration: a resumed run draws the same sizes.

    Args:
        form: ``one`` draws one size for each iteration; ``each`` takes a step of the optimizer at
            every size, in their order, for each batch.
        ratios: Factors of the crop. Sides are rounded to multiples of 32 pixels, or of
            ``divisor`` if that does not divide 32.
        divisor: Of the encoder, in pixels.

    Raises:
        UserError: If ``form`` is neither, or a ratio is not positive.

    Source: the training of Tang et al., "DuAT" (PRCV 2023), which is ``each``. Differs from it: its
    labels are resized bilinearly, and its corners are aligned.

    Example:
        >>> from rein_seg.models.multi_scale import MultiScale
        >>> MultiScale('one', (0.75, 1, 1.25)).sizes((352, 352))
        [(256, 256), (352, 352), (448, 448)]
    """

    def __init__(self, form: str, ratios: Sequence[float], *, divisor: int = 1) -> None:
        if form not in FORMS:
            raise UserError(f'multi_scale={form!r}: expected one of {", ".join(FORMS)}, or None')
        if not ratios or min(ratios) <= 0:
            raise UserError(
                f'multi_scale_ratios={tuple(ratios)}: expected factors above 0, such as (0.75, 1.0)'
            )
        self.form, self.ratios = form, tuple(ratios)
        self.step = divisor if _STEP % divisor else _STEP

    def sizes(self, size: Sequence[int]) -> list[tuple[int, int]]:
        """Returns (H, W) at each ratio, of the (H, W) of a crop."""
        return [self._size(size, ratio) for ratio in self.ratios]

    def __call__(self, inputs: Tensor, data_samples: list) -> tuple[Tensor, list]:
        """Returns a batch at a drawn size; mmseg's preprocessor calls it as ``batch_augments``.

        Args:
            inputs: (B, 3, H, W) images.
            data_samples: With the labels, (1, H, W) each.

        Raises:
            UserError: If ``each`` trains in several processes, whose wrapper takes the one step.
        """
        if self.form == 'each':
            if dist.get_world_size() > 1:
                raise UserError(
                    f"multi_scale='each' takes {len(self.ratios)} steps a batch, in one process, "
                    f'and there are {dist.get_world_size()}: train in one, or take '
                    "multi_scale='one'"
                )
            return inputs, data_samples
        size = self._size(inputs.shape[-2:], random.choice(self.ratios))
        return resize_batch(inputs, data_samples, size)

    def steps(self, model: Any, data: dict, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """Takes a step of the optimizer at each size; returns the mean of the logged values.

        Args:
            model: The segmentor.
            data: From the data loader.
            optim_wrapper: Updates the parameters.

        Raises:
            UserError: If gradients are accumulated over batches.
        """
        if optim_wrapper._accumulative_counts > 1:
            raise UserError(
                f'optim_wrapper.accumulative_counts={optim_wrapper._accumulative_counts}: '
                "multi_scale='each' updates after each size; leave it out, or take "
                "multi_scale='one'"
            )
        batch = model.data_preprocessor(data, True)
        logs = [self._update(model, part, optim_wrapper) for part in self._each(**batch)]
        return {
            name: torch.stack([torch.as_tensor(log[name]) for log in logs]).mean()
            for name in logs[0]
        }

    def _update(self, model: Any, batch: dict, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        with optim_wrapper.optim_context(model):
            losses = model(**batch, mode='loss')
        loss, log = model.parse_losses(losses)
        optim_wrapper.update_params(loss)
        return log

    def _each(self, inputs: Tensor, data_samples: list) -> Iterator[dict[str, Any]]:
        for size in self.sizes(inputs.shape[-2:]):
            images, samples = resize_batch(inputs, data_samples, size)
            yield {'inputs': images, 'data_samples': samples}

    def _size(self, size: Sequence[int], ratio: float) -> tuple[int, int]:
        height, width = (max(1, round(side * ratio / self.step)) * self.step for side in size)
        return height, width


def resize_batch(inputs: Tensor, data_samples: list, size: tuple[int, int]) -> tuple[Tensor, list]:
    """Returns images and labels of a batch at another size.

    Args:
        inputs: (B, 3, H, W) images.
        data_samples: With the labels, (1, H, W) each.
        size: (h, w).

    Returns:
        (B, 3, h, w) images, and new samples with (1, h, w) labels alone.

    Example:
        >>> import torch
        >>> from rein_seg.heads.mmseg_head import as_samples
        >>> from rein_seg.models.multi_scale import resize_batch
        >>> labels = torch.eye(4, dtype=torch.long)[None]
        >>> images, samples = resize_batch(torch.zeros(1, 3, 4, 4), as_samples(labels), (2, 2))
        >>> images.shape, samples[0].gt_sem_seg.data
        (torch.Size([1, 3, 2, 2]), tensor([[[1, 0],
                 [0, 1]]]))
    """
    if tuple(inputs.shape[-2:]) == tuple(size):
        return inputs, data_samples
    images = F.interpolate(inputs, size=size, mode='bilinear', align_corners=False)
    labels = torch.stack([sample.gt_sem_seg.data for sample in data_samples])  # (B, 1, H, W)
    # nearest-exact takes pixels at the places where the bilinear images are sampled
    resized = F.interpolate(labels.float(), size=size, mode='nearest-exact').to(labels.dtype)
    return images, as_samples(resized[:, 0])
