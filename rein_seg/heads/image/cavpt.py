"""The head of dual-modality prompt tuning: an image beside its classes, guided by the frozen CLIP.

B batch, K classes, D width of the joint space.
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from mmengine.logging import MessageHub
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor

from rein_seg.heads.image.contract import ImageHead
from rein_seg.heads.image.cosine import cosine_logits
from rein_seg.heads.image.text import SCALE
from rein_seg.rules import NotNegative, Positive, Probability
from rein_seg.structures import Features


class Logits(NamedTuple):
    """Three sets of (B, K) logits.

    Attributes:
        tuned: Prompted image with learned text; the prediction.
        plain_image: Image of the frozen encoder with learned text.
        fixed_text: Prompted image with text in fixed words.
    """

    tuned: Tensor
    plain_image: Tensor
    fixed_text: Tensor


@MODELS.register_module()
class CAVPTHead(ImageHead, BaseModule):
    """Compares an image with its classes by cosine; in the first part of a training, with guides.

    The loss of the guided part is CE(frozen image, learned text) + CE(image, fixed words) +
    ``guidance_weight`` CE(image, learned text): each modality learns beside the other's frozen
    form. Later it is the last term alone, unweighted. The training tells its progress through
    mmengine's message hub, so that a resumed run continues in the same part; before any training
    the loss is guided.

    Args:
        num_classes: K.
        joint_dims: D of the image, which the model fills in.
        text_dims: D of the text, which the model fills in.
        text_scale: Scale in the file of the text tower, or None.
        scale: Replaces ``text_scale``; where neither is there, the scale is 100.
        guided_part: Part of the training with guides, from 0 to 1.
        guidance_weight: Factor of the prediction's loss in that part.

    Source: Xing et al., IEEE TMM 2023, and its code, which guides the first 30 of 60 epochs.
    Differs from it: none.

    Example:
        >>> import torch
        >>> from rein_seg.heads.image import CAVPTHead
        >>> from rein_seg.structures import Features
        >>> joint, text = (torch.eye(2), torch.zeros(2, 2, 1, 1)), torch.eye(2)
        >>> first = Features(maps=(), joint=joint)
        >>> features = Features(maps=(), joint=joint, text=text, fixed_text=text, first=first)
        >>> head = CAVPTHead(2, scale=1.0)
        >>> head.predict(features)
        tensor([[1., 0.],
                [0., 1.]])
        >>> list(head.losses(head(features), torch.tensor([0, 1]), guided=True))
        ['loss_plain_image', 'loss_fixed_text', 'loss_ce']
    """

    filled_in = ('num_classes', 'joint_dims', 'text_dims', 'text_scale')
    optional = ('text_scale',)
    open_vocabulary = True
    reads_first = True

    def __init__(
        self,
        num_classes: int,
        *,
        joint_dims: int | None = None,
        text_dims: int | None = None,
        text_scale: float | None = None,
        scale: Positive | None = None,
        guided_part: Probability = 0.5,
        guidance_weight: NotNegative = 0.1,
    ) -> None:
        super().__init__()
        self.num_classes, self.scale = num_classes, scale or text_scale or SCALE
        self.guided_part, self.guidance_weight = guided_part, guidance_weight

    def forward(self, features: Features) -> Logits:
        """Returns the three sets of logits."""
        first, text, fixed = features.first, features.text, features.fixed_text
        assert features.joint is not None
        assert first is not None
        assert first.joint is not None
        assert text is not None
        assert fixed is not None
        pairs = ((features.joint, text), (first.joint, text), (features.joint, fixed))
        return Logits(*(cosine_logits(image[0], words, self.scale) for image, words in pairs))

    def loss(self, features: Features, labels: Tensor) -> dict[str, Tensor]:
        """Returns the losses of the part that the training is in."""
        return self.losses(self(features), labels, guided=progress() < self.guided_part)

    def losses(self, logits: Logits, labels: Tensor, *, guided: bool) -> dict[str, Tensor]:
        """Returns the losses of logits.

        Args:
            logits: From `forward`.
            labels: (B,) int64.
            guided: Whether with guides.
        """
        loss = F.cross_entropy(logits.tuned, labels)
        if not guided:
            return {'loss_ce': loss}
        return {
            'loss_plain_image': F.cross_entropy(logits.plain_image, labels),
            'loss_fixed_text': F.cross_entropy(logits.fixed_text, labels),
            'loss_ce': self.guidance_weight * loss,
        }

    def predict(self, features: Features) -> Tensor:
        """Returns the (B, K) logits of the prompted image with learned text."""
        assert features.joint is not None
        assert features.text is not None
        return cosine_logits(features.joint[0], features.text, self.scale)


def progress() -> float:
    """Returns the finished part of this process's training, from 0 to 1; 0 before any.

    Example:
        >>> from rein_seg.heads.image.cavpt import progress
        >>> progress()
        0.0
    """
    known = MessageHub.get_current_instance().runtime_info
    total = known.get('max_iters')
    return known.get('iter', 0) / total if total else 0.0
