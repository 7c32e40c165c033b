"""A backbone and a head for whole images: classification and retrieval.

B batch, K classes, D width of an embedding, H x W image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmpretrain.structures import DataSample
from mmseg.registry import MODELS
from torch import Tensor

from rein_seg.building import building
from rein_seg.errors import UserError
from rein_seg.models.base import PEFTModel
from rein_seg.models.batch_norm import guard_batch_norms
from rein_seg.models.head_config import build_image_head, fill_methods, head_inputs
from rein_seg.models.open_vocabulary import NO_TEXT, check_choice, check_open
from rein_seg.models.text_config import text_for
from rein_seg.text.names import Names


@MODELS.register_module()
class PEFTImageModel(PEFTModel, BaseModel):
    """A `PEFTBackbone` and an `ImageHead`: one class, or one embedding, for an image.

    Sizes are written once, in the encoder's config: the model fills them into the head, and
    normalises images as the encoder expects.

    Args:
        backbone: Config of the backbone.
        head: Config of the head.
        num_classes: K of the training.
        text: Config of a `TextBranch`, for parts that read the embeddings of the classes.
        test_cfg: Takes no options yet.
        data_preprocessor: Overrides the preprocessor made from the encoder's normalisation.

    Raises:
        UserError: If there is one class, the head is none for whole images, or text or a joint
            space is missing that a part reads.

    Example:
        >>> import torch
        >>> from mmseg.registry import MODELS
        >>> import rein_seg.apis
        >>> backbone = dict(type='PEFTBackbone', encoder=dict(type='TinyViT', init_seed=0),
        ...     peft=dict(type='LoRA', rank=2))
        >>> model = MODELS.build(dict(type='PEFTImageModel', backbone=backbone, num_classes=3,
        ...     head=dict(type='LinearImageHead'))).eval()
        >>> model.predict(torch.randn(2, 3, 64, 64))[0].pred_score.shape
        torch.Size([3])
    """

    task = 'images'

    def __init__(
        self,
        backbone: Mapping[str, Any],
        head: Mapping[str, Any],
        *,
        num_classes: int,
        text: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        data_preprocessor: Mapping[str, Any] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if num_classes < 2:
            raise UserError(
                f'num_classes={num_classes}: expected 2 or more, since with one class loss and '
                'gradient are 0; name another class'
            )
        with building('model.backbone'):
            built = MODELS.build(fill_methods(backbone, num_classes))
        if built.encoder_info.bands is not None:
            raise UserError(
                'the encoder has bands, and a model of whole images takes RGB: expected a model '
                'of pixels (PEFTSegmentor); leave bands out'
            )
        if data_preprocessor is None:
            info = built.encoder_info
            data_preprocessor = dict(
                type='mmpretrain.ClsDataPreprocessor',
                mean=list(info.mean),
                std=list(info.std),
                to_rgb=True,
                num_classes=num_classes,
            )
        with building('model.data_preprocessor'):
            BaseModel.__init__(self, dict(data_preprocessor), init_cfg)
        self.backbone, self.num_classes = built, num_classes
        self._trained_classes = num_classes
        with building('model.text'):
            self.text = text_for({'head': head}, text, built, backbone['encoder'], num_classes)
        inputs = head_inputs(built, backbone['encoder'], num_classes, self.text)
        with building('model.head'):
            self.head = build_image_head(head, inputs, built.peft)
        guard_batch_norms(self.head)
        self.set_test_cfg(test_cfg)

    @property
    def trained_classes(self) -> int:
        """K of the training."""
        return self._trained_classes

    @property
    def has_open_vocabulary(self) -> bool:
        """Whether `set_classes` works."""
        return self._why_closed() is None

    def _why_closed(self) -> str | None:
        if self.text is None:
            return NO_TEXT
        if not self.text.open_vocabulary:
            return f'{type(self.text).__name__} has embeddings of its own classes alone'
        if not self.head.open_vocabulary:
            return f'{type(self.head).__name__} has weights for each class'
        return None

    def set_classes(
        self,
        classes: Sequence[str],
        unseen: Sequence[str] | None = None,
        names: Names | None = None,
    ) -> None:
        """Predicts other classes from now on, in place of the trained; no tensor changes.

        Args:
            classes: K names.
            unseen: Names of the classes that training did not label; no head here asks.
            names: Class -> words that stand for it in prompts, in place of its name.

        Raises:
            UserError: If the model has weights for each class, or the names are wrong.
        """
        check_open(self._why_closed())
        assert self.text is not None  # else it is closed
        check_choice(classes, names, unseen or ())
        self.text.set_classes(classes, unseen or (), names)
        self.head.set_classes(len(classes))
        self.num_classes = len(classes)

    def set_test_cfg(self, test_cfg: Mapping[str, Any] | None) -> None:
        """Takes no option yet."""
        self.test_cfg = dict(test_cfg or {})

    def forward(
        self, inputs: Tensor, data_samples: list | None = None, mode: str = 'tensor'
    ) -> Any:
        """Runs the model as mmengine's runner asks.

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: With the label of each image, for losses.
            mode: ``loss`` returns losses, ``predict`` samples, ``tensor`` the head's own result.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples or [])
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        return self.head(self.encode(inputs))

    def loss(self, inputs: Tensor, data_samples: Sequence[DataSample]) -> dict[str, Tensor]:
        """Returns the losses of head (``head``) and method (``peft``).

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: With ``gt_label`` each.
        """
        labels = torch.cat([sample.gt_label for sample in data_samples]).to(inputs.device)
        losses = self.head.loss(self.encode(inputs), labels)
        named = {f'head.{name}': value for name, value in losses.items()}
        method = self.backbone.peft
        own = {**method.aux_losses(), **method.image_losses(labels)}
        return {**named, **{f'peft.{name}': value for name, value in own.items()}}

    def predict(
        self, inputs: Tensor, data_samples: Sequence[DataSample] | None = None
    ) -> list[DataSample]:
        """Returns a sample of each image: ``pred_score`` (K,) and ``pred_label``, or ``embedding``.

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: Samples to fill; None makes new samples.
        """
        samples = list(data_samples or [DataSample() for _ in inputs])
        for sample, row in zip(samples, self.head.predict(self.encode(inputs)), strict=True):
            if self.head.output == 'embedding':
                sample.set_field(row, 'embedding')
            else:
                scores = row.float().softmax(0)
                sample.set_pred_score(scores).set_pred_label(scores.argmax(0, keepdim=True))
        return samples
