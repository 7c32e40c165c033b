"""What the models of all tasks share: a backbone, maybe a text branch, and what files hold of them.

K classes, D width of the embedding of a class, H x W image.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.models.backbone import PEFTBackbone
from rein_seg.registry import describe_method
from rein_seg.structures import Features
from rein_seg.text import TextBranch


class PEFTModel(nn.Module):
    """A `PEFTBackbone` with the parts of a task; mix it into the task's model of mmengine.

    Attributes:
        task: Whether each pixel or a whole image gets a class; data sets, transforms, metrics and
            heads are of one of the two.
        backbone: Encoder and method.
        text: The text branch, or None.
        num_classes: K.
        tasks: Task -> names of its classes, of a model of several tasks; else empty.
    """

    task: ClassVar[Literal['pixels', 'images']] = 'pixels'
    backbone: PEFTBackbone
    text: TextBranch | None
    num_classes: int
    tasks: Mapping[str, tuple[str, ...]] = {}
    data_preprocessor: Any  # of mmengine's model, as the next two
    parse_losses: Any
    dataset_meta: Any
    __call__: Callable[..., Any]

    @property
    @abstractmethod
    def trained_classes(self) -> int:
        """K of the training."""

    @property
    def has_open_vocabulary(self) -> bool:
        """Whether the classes can be exchanged after the training."""
        return False

    @property
    def identity(self) -> dict[str, Any]:
        """The facts that weights must share with this model: method, encoder, K, and its text."""
        identity = {
            'method': describe_method(self.backbone.peft_cfg),
            'encoder': self.backbone.encoder_info.identity,
            'num_classes': self.trained_classes,
        }
        if self.task != 'pixels':  # which files of segmentors do not say
            identity['task'] = self.task
        if self.text is not None:
            identity['text'] = {**self.text.identity, 'open_vocabulary': self.has_open_vocabulary}
        # plain values: a checkpoint with config objects in it could not be read back safely
        return json.loads(json.dumps(identity, default=str))

    def texts(self) -> tuple[Tensor | None, Tensor | None]:
        """Returns ``text`` and ``fixed_text`` of `Features`."""
        return (None, None) if self.text is None else (self.text(), self.text.fixed())

    def encode(self, images: Tensor) -> Features:
        """Returns the backbone's features of (B, 3, H, W) normalised images, and the text."""
        return self.backbone(images, *self.texts())

    @abstractmethod
    def set_test_cfg(self, test_cfg: Mapping[str, Any] | None) -> None:
        """Changes the options of the test, after checking them."""

    def build_training_parts(self) -> None:
        """Builds the parts that only training needs; here there are none."""

    def step_losses(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Returns all losses of a training step, for one backward pass.

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: With the labels.
        """
        return self(inputs, data_samples, mode='loss')

    def is_training_only(self, name: str) -> bool:
        """Whether a tensor serves training alone, so that adapters leave it out."""
        return False

    def fit_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the tensors of a training checkpoint that this model loads."""
        return dict(state)

    def adapter_state(self) -> dict[str, Tensor]:
        """Returns the tensors of an adapter file."""
        state = self.state_dict()
        return {name: x for name, x in state.items() if not self.is_training_only(name)}

    def _dump_init_info(self) -> None:
        """Writes nothing: four lines for each frozen tensor would drown the log."""


def task_of(kind: str | type | None) -> str:
    """Returns the task of a model: ``pixels`` or ``images``.

    Args:
        kind: Name or class, as in ``type`` of its config; of another class than ours it is
            ``pixels``.

    Example:
        >>> import rein_seg.apis
        >>> from rein_seg.models.base import task_of
        >>> task_of('PEFTImageModel'), task_of('PEFTSegmentor')
        ('images', 'pixels')
    """
    cls = MODELS.get(kind) if isinstance(kind, str) else kind
    return getattr(cls, 'task', 'pixels')


def count_parameters(model: PEFTModel) -> dict[str, int]:
    """Counts the parameters of a model; those that serve training alone do not count.

    Args:
        model: Of any task.

    Returns:
        Trainable parameters of the ``method`` and of ``neck_and_head`` (learned prompts among
        them), their sum ``trainable``, and the ``frozen`` parameters, of a text tower, too.
    """
    params = {n: p for n, p in model.named_parameters() if not model.is_training_only(n)}
    trained = {name: p.numel() for name, p in params.items() if p.requires_grad}
    own = sum(count for name, count in trained.items() if name.startswith('backbone.'))
    total = sum(trained.values())
    return {
        'method': own,
        'neck_and_head': total - own,
        'trainable': total,
        'frozen': sum(p.numel() for p in params.values() if not p.requires_grad),
    }
