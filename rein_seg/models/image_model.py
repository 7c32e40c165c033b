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
from rein_seg.heads.image import ImageHead
from rein_seg.models.base import PEFTModel
from rein_seg.models.batch_norm import guard_batch_norms
from rein_seg.models.head_config import fill_methods, head_inputs
from rein_seg.models.text_config import text_for


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
        UserError: If the head is none for whole images, or text or a joint space is missing that a
            part reads.

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
        with building('model.backbone'):
            built = MODELS.build(fill_methods(backbone, num_classes))
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
        with building('model.text'):
            self.text = text_for({'head': head}, text, built, backbone['encoder'], num_classes)
        inputs = head_inputs(built, backbone['encoder'], num_classes, self.text)
        with building('model.head'):
            cls = MODELS.get(head['type'])
            if cls is not None and not (isinstance(cls, type) and issubclass(cls, ImageHead)):
                raise UserError(
                    f'{head["type"]} is no head for whole images: expected LinearImageHead or '
                    'another ImageHead; take it, or PEFTSegmentor for a head of pixels'
                )
            if cls is not None and cls.reads_first and not built.peft.looks_first:
                raise UserError(
                    f'{head["type"]} reads the features of the frozen encoder, which '
                    f'{type(built.peft).__name__} does not compute: expected a method that looks '
                    "first; set model.backbone.peft=dict(type='CAVPT'), or take another head"
                )
            names = () if cls is None else cls.filled_in
            facts = inputs.arguments(head.get('in_index', list(range(len(inputs.channels)))))
            self.head = MODELS.build({**{name: facts[name] for name in names}, **head})
        guard_batch_norms(self.head)
        self.set_test_cfg(test_cfg)

    @property
    def trained_classes(self) -> int:
        """K of the training."""
        return self.num_classes

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
