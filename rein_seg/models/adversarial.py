"""A segmentor that also trains against a critic.

B batch, K classes, H x W image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapperDict
from mmseg.registry import MODELS
from torch import Tensor

from rein_seg.building import building
from rein_seg.errors import UserError
from rein_seg.models.critic import Critic, gradient_penalty
from rein_seg.models.segmentor import PEFTSegmentor, labels_of
from rein_seg.rules import NotNegative
from rein_seg.structures import Features

_CRITIC = 'critic.'  # start of the names of its tensors


class Generated(NamedTuple):
    """A forward pass of the generator.

    Attributes:
        losses: Of the segmentation, by name.
        image: (B, 3, H, W) class-aware image of its prediction.
    """

    losses: dict[str, Tensor]
    image: Tensor


@MODELS.register_module()
class AdversarialSegmentor(PEFTSegmentor):
    """A `PEFTSegmentor` whose segmentations a critic compares with the labels (WGAN-GP).

    The critic sees class-aware images: the normalised image times 1 - p(background), with the
    predicted probability (fake) or the labels (real); ignored pixels are 0 in both. A step runs
    the generator once, updates the critic with its result, detached, then the generator with the
    new critic's score:

    L_critic = mean D(fake) - mean D(real) + w_p gradient penalty;
    L_generator = losses of the heads - w_a mean D(fake).

    The critic comes to be when its optimizer is built, so models that only predict have none. It
    is in checkpoints, for resuming, and not in adapter files.

    Args:
        backbone: See `PEFTSegmentor`.
        decode_head: See `PEFTSegmentor`.
        critic: Config of the critic, such as `Critic`.
        adversarial_weight: w_a.
        penalty_weight: w_p.
        background: Index of the class without an object.
        **options: Of `PEFTSegmentor`.

    Source: You et al., "Class-Aware Adversarial Transformers" (NeurIPS 2022), Sec. 3.2; no code was
    published. Differs from it: the weights of the losses are the paper's; the product of image and
    probability, the critic, and one step of each in turn are ours. The head runs a second time for
    its prediction.

    Raises:
        UserError: If ``background`` is no class, ``critic`` no config, or ``multi_scale`` is
            ``each``.

    Example:
        >>> import torch
        >>> from mmseg.registry import MODELS
        >>> import rein_seg.apis
        >>> arch = dict(embed_dims=8, num_layers=2, num_heads=2, feedforward_channels=16)
        >>> tiny = dict(type='TinyViT', arch=arch, img_size=32, init_seed=0)
        >>> model = MODELS.build(dict(type='AdversarialSegmentor', num_classes=3,
        ...     backbone=dict(type='PEFTBackbone', encoder=tiny, peft=dict(type='Full')),
        ...     decode_head=dict(type='LinearHead'), critic=dict(type='Critic', encoder=tiny)))
        >>> model.critic is None  # until its optimizer is built
        True
        >>> model.build_training_parts()
        >>> labels = torch.tensor([[[0, 1], [255, 2]]])
        >>> model.class_aware(torch.ones(1, 3, 2, 2), model.real(labels))[0, 0].tolist()
        [[0.0, 1.0], [0.0, 1.0]]
    """

    critic: Critic | None

    def __init__(
        self,
        backbone: Mapping[str, Any],
        decode_head: Mapping[str, Any],
        *,
        critic: Mapping[str, Any],
        adversarial_weight: NotNegative = 0.1,
        penalty_weight: NotNegative = 10.0,
        background: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(backbone, decode_head, **options)
        if not 0 <= background < self.num_classes:
            raise UserError(
                f'model.background={background}: expected the index of a class, 0 to '
                f'{self.num_classes - 1}'
            )
        if self.multi_scale is not None and self.multi_scale.form == 'each':
            raise UserError(
                "model.multi_scale='each' takes several steps of one optimizer a batch, generator "
                "and critic take one each: leave it out, or take multi_scale='one'"
            )
        if not isinstance(critic, Mapping):
            raise UserError(
                f"model.critic={critic!r}: expected a config, dict(type='Critic', encoder=...); to "
                'train without a critic, take PEFTSegmentor and optim_wrapper.critic=None'
            )
        self.critic, self._critic_cfg = None, dict(critic)
        self.adversarial_weight, self.penalty_weight = adversarial_weight, penalty_weight
        self.background = background

    def build_training_parts(self) -> None:
        """Builds the critic, on the device of the model."""
        device = next(self.parameters()).device
        with building('model.critic'):
            self.critic = MODELS.build(self._critic_cfg).to(device).train(self.training)
        count = sum(p.numel() for p in self.critic.parameters())
        print_log(f'the critic has {count:,} parameters; adapters leave it out', logger='current')

    def train_step(self, data: Any, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        """Updates the critic, then the generator; returns the losses of both.

        Args:
            data: A batch from the data loader.
            optim_wrapper: Of ``generator`` and ``critic``.
        """
        data = self.data_preprocessor(data, True)
        real, generated = self.generate(**data)
        # both pass through __call__, whose hooks see the losses before each update
        total, critic = self.parse_losses(self(real, generated.image.detach(), mode='critic'))
        optim_wrapper['critic'].update_params(total)
        total, log = self.parse_losses(self(generated, mode='generator'))
        optim_wrapper['generator'].update_params(total)
        return {**log, **critic, 'loss': log['loss'], 'loss_critic': critic['loss']}

    def step_losses(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Returns the losses of both, before either update; see `PEFTSegmentor.step_losses`."""
        real, generated = self.generate(inputs, data_samples)
        critic = self(real, generated.image.detach(), mode='critic')
        return {**critic, **self(generated, mode='generator')}

    def generate(self, inputs: Tensor, data_samples: list) -> tuple[Tensor, Generated]:
        """Returns the (B, 3, H, W) class-aware images of the labels, and a pass of the generator.

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: With the labels, (1, H, W) each.
        """
        labels, features = labels_of(data_samples), self.extract_feat(inputs)
        losses = self.feature_losses(features, labels)
        fake = self.class_aware(inputs, self.fake(features, labels))
        return self.class_aware(inputs, self.real(labels)), Generated(losses, fake)

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'tensor') -> Any:
        """As mmseg's, with two more modes.

        Args:
            inputs: Images; of mode ``critic`` the real images, of ``generator`` a `Generated`.
            data_samples: Their samples; of mode ``critic`` the fake images.
            mode: ``loss``, ``predict``, ``tensor``, ``critic`` or ``generator``.
        """
        if mode == 'critic':
            return self.critic_losses(inputs, data_samples)
        if mode == 'generator':
            return self.generator_losses(inputs)
        return super().forward(inputs, data_samples, mode)

    def critic_losses(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Returns the losses of the critic for (B, 3, H, W) class-aware images.

        Args:
            real: Of the labels.
            fake: Of the prediction, detached.
        """
        assert self.critic is not None, 'build_training_parts() first'
        share = torch.rand(len(real), device=real.device)
        penalty = gradient_penalty(self.critic, real, fake, share)
        distance = self.critic(fake).mean() - self.critic(real).mean()
        return {
            'critic.loss_distance': distance,
            'critic.loss_penalty': self.penalty_weight * penalty,
        }

    def generator_losses(self, generated: Generated) -> dict[str, Tensor]:
        """Returns the losses of the generator; the critic gets no gradient."""
        assert self.critic is not None, 'build_training_parts() first'
        with _constant(self.critic):
            score = self.critic(generated.image).mean()
        return {**generated.losses, 'loss_adversarial': -self.adversarial_weight * score}

    def fake(self, features: Features, labels: Tensor) -> Tensor:
        """Returns the (B, H, W) predicted probability of any object, 0 at ignored pixels."""
        head, (height, width) = self.heads['decode'], labels.shape[1:]
        found = head.probabilities(head.predict(features, (height, width)))
        if head.sigmoid:  # the probability of class 1
            found = torch.cat([1 - found, found], dim=1)
        return (1 - found[:, self.background]) * self._known(labels)

    def real(self, labels: Tensor) -> Tensor:
        """Returns (B, H, W) ones where the labels have an object."""
        return ((labels != self.background) & self._known(labels)).float()

    def class_aware(self, images: Tensor, objects: Tensor) -> Tensor:
        """Returns (B, 3, H, W) images times the (B, H, W) probability of an object."""
        return images * objects[:, None]

    def _known(self, labels: Tensor) -> Tensor:
        ignored = self.heads['decode'].ignore_index
        return torch.ones_like(labels, dtype=torch.bool) if ignored is None else labels != ignored

    def is_training_only(self, name: str) -> bool:
        """Whether a tensor serves training alone: it is the critic's."""
        return name.startswith(_CRITIC)

    def fit_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns a checkpoint's tensors: without its critic, or with an own, as this model is."""
        if self.critic is None:
            return {name: x for name, x in state.items() if not self.is_training_only(name)}
        if any(map(self.is_training_only, state)):
            return dict(state)
        own = {f'{_CRITIC}{name}': x for name, x in self.critic.state_dict().items()}
        return {**own, **state}


@contextmanager
def _constant(module: torch.nn.Module) -> Iterator[None]:
    params = [param for param in module.parameters() if param.requires_grad]
    for param in params:
        param.requires_grad_(False)
    try:
        yield
    finally:
        for param in params:
            param.requires_grad_(True)
