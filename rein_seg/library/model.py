"""Models as plain modules: RGB images in, logits or features out.

B batch, K classes, H x W image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from rein_seg.errors import UserError
from rein_seg.library.parameters import print_trainable_parameters
from rein_seg.models.backbone import PEFTBackbone
from rein_seg.models.padding import pad_reflecting
from rein_seg.models.postprocess import postprocess
from rein_seg.structures import Features

IMAGES = 'expected RGB, (B, 3, H, W): uint8 of 0..255, or floating-point of 0..1'


class Normalise(nn.Module):
    """Checks RGB images and gives them the mean and deviation that an encoder was trained with.

    Args:
        mean: RGB, 0..255.
        std: RGB, 0..255.

    Shapes:
        (B, 3, H, W) uint8 of 0..255 or floating-point of 0..1 -> (B, 3, H, W) float.

    Example:
        >>> import torch
        >>> from rein_seg.library.model import Normalise
        >>> half = Normalise((0, 0, 0), (255, 255, 255))(torch.full((1, 3, 1, 1), 0.5))
        >>> half.flatten().tolist()
        [0.5, 0.5, 0.5]
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        for name, values in (('mean', mean), ('std', std)):
            values = torch.tensor(values, dtype=torch.float32).view(3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Returns the normalised images.

        Raises:
            UserError: If they are of another shape, type or range.
        """
        _check_images(images)
        scaled = images.float() if images.dtype == torch.uint8 else images.float() * 255
        return ((scaled - self.mean) / self.std).to(self.mean.dtype)


class BuiltBackbone(nn.Module):
    """A frozen encoder with a method, for RGB images; `rein_seg.build_backbone` makes it.

    Attributes:
        backbone: The `PEFTBackbone`.
        out_channels: C of each map.
        out_strides: Pixels a step of each map.
    """

    def __init__(self, backbone: PEFTBackbone) -> None:
        super().__init__()
        info = backbone.encoder_info
        self.backbone, self.normalise = backbone, Normalise(info.mean, info.std)
        self.out_channels = backbone.out_channels
        self.out_strides = backbone.anatomy.out_strides

    def forward(self, images: Tensor) -> Features:
        """Returns the maps of images; see `build_backbone` for the images."""
        features: Features = self.backbone(self.normalise(images))
        return features

    def print_trainable_parameters(self) -> None:
        """Prints the numbers of trainable and of all parameters."""
        print_trainable_parameters(self)


class BuiltModel(nn.Module):
    """A segmentation model for RGB images; `rein_seg.build_model` makes it.

    The state dict leaves out what is frozen in the encoder, and loads without it.

    Attributes:
        segmentor: The `PEFTSegmentor`, as a config builds it.
        cfg: Its config.
        classes: Names of the K classes.
        palette: [r, g, b] of each class.
    """

    def __init__(self, segmentor: Any, cfg: Config) -> None:
        super().__init__()
        info = segmentor.backbone.encoder_info
        self.segmentor, self.normalise = segmentor, Normalise(info.mean, info.std)
        self.cfg = cfg
        meta = cfg.test_dataloader.dataset.metainfo
        self.name_classes(meta.classes, meta.palette)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Any:
        """Returns (B, K, H, W) logits in the size of the images; with labels the losses.

        A head of masks (Mask2Former) gives non-negative scores in their place, the sum over its
        masks; `probabilities` is the same for both. A head with one output channel gives (B, 1, H,
        W), the logit of the second class.

        Args:
            images: (B, 3, H, W) RGB, uint8 of 0..255 or floating-point of 0..1, of any size. They
                are normalised here, and mirrored at the border up to whole patches of the encoder.

            labels: Gives `loss` in place of logits: data parallel training calls the module itself.

        Raises:
            UserError: If the images are of another shape, type or range.
        """
        if labels is not None:
            return self.loss(images, labels)
        predicted: Tensor = self.segmentor.encode_decode(self._padded(images))
        return predicted[..., : images.shape[-2], : images.shape[-1]]

    def name_classes(self, classes: Sequence[str], palette: Sequence[Sequence[int]]) -> None:
        """Sets names and colours of the classes, for predictions and files."""
        meta = {'classes': list(classes), 'palette': [list(colour) for colour in palette]}
        self.cfg.test_dataloader.dataset.metainfo = meta
        self.segmentor.dataset_meta = meta
        self.classes, self.palette = tuple(meta['classes']), meta['palette']

    def probabilities(self, images: Tensor) -> Tensor:
        """Returns (B, K, H, W) float32 probabilities; see `forward` for the images."""
        head = self.segmentor.heads['decode']
        found: Tensor = head.probabilities(self(images))
        return torch.cat((1 - found, found), dim=1) if head.sigmoid else found

    def loss(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Returns the losses by name, each a scalar; their sum is what to train on.

        Args:
            images: As for `forward`.
            labels: (B, H, W) class indexes, and 255 for pixels without a class.

        Raises:
            UserError: If images or labels are of another shape or type, or a label is no class.
        """
        _check_images(images)
        ignored = self.segmentor.heads['decode'].ignore_index
        _check_labels(labels, images, len(self.classes), ignored)
        inputs = self._padded(images)
        rest = [inputs.shape[-1] - labels.shape[-1], inputs.shape[-2] - labels.shape[-2]]
        labels = F.pad(labels.long(), (0, rest[0], 0, rest[1]), value=ignored)
        samples = [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]
        losses = self.segmentor.loss(inputs, samples)
        # other entries, such as an accuracy, are for a log
        return {name: _scalar(value) for name, value in losses.items() if 'loss' in name}

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """Returns the (B, H, W) int64 class of each pixel, in eval mode; see `forward`."""
        before = self.training
        self.eval()
        try:
            predicted, head = self(images), self.segmentor.heads['decode']
            size = tuple(predicted.shape[-2:])
            maps = [postprocess(one, head, size)['pred_sem_seg'] for one in predicted]
        finally:
            self.train(before)
        return torch.cat(maps)

    def print_trainable_parameters(self) -> None:
        """Prints the numbers of trainable and of all parameters."""
        print_trainable_parameters(self)

    def _padded(self, images: Tensor) -> Tensor:
        """Returns normalised images, mirrored at the right and the bottom up to whole patches."""
        anatomy = self.segmentor.backbone.anatomy
        return pad_reflecting(self.normalise(images), anatomy.divisor, anatomy.smallest_side)


def _check_images(images: Any) -> None:
    if not isinstance(images, Tensor) or images.dim() != 4 or images.shape[1] != 3:
        came = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise UserError(f'images are {came}: {IMAGES}')
    if images.dtype == torch.uint8:
        return
    if not images.is_floating_point():
        raise UserError(f'images are {images.dtype}: {IMAGES}')
    if not torch.compiler.is_compiling() and images.numel():
        low, high = (float(value) for value in images.detach().aminmax())
        if not (low >= -0.01 and high <= 1.01):  # resizing may overshoot a little
            raise UserError(
                f'images have values from {low:.3g} to {high:.3g}: {IMAGES}; do not normalise '
                'them, the model does'
            )


def _check_labels(labels: Any, images: Tensor, count: int, ignored: int | None) -> None:
    size = (len(images), *images.shape[-2:])
    whole = isinstance(labels, Tensor) and not (labels.is_floating_point() or labels.is_complex())
    if not whole or tuple(labels.shape) != size:
        came = f'{labels.dtype} {tuple(labels.shape)}' if isinstance(labels, Tensor) else labels
        raise UserError(f'labels are {came}: expected whole numbers of shape {size}')
    if not torch.compiler.is_compiling() and labels.numel():
        bad = labels[(labels != ignored) & ((labels < 0) | (labels >= count))]
        if len(bad):
            raise UserError(
                f'labels hold {int(bad[0])}: expected 0 to {count - 1}, or {ignored} for pixels '
                'without a class'
            )


def _scalar(value: Any) -> Tensor:
    return value.mean() if isinstance(value, Tensor) else sum(part.mean() for part in value)
