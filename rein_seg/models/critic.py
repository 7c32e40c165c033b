"""The critic of an adversarial training, and the penalty on its gradient.

B batch, C width, H x W image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from rein_seg.building import building
from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.errors import UserError

_DEFAULTS = {'out_type': 'raw', 'final_norm': True}


@MODELS.register_module()
class Critic(BaseModule):
    """Scores images by the class token of a vision transformer: linear, GELU, linear to a number.

    The attention runs in its plain form, softmax(Q K^T) V: the fused kernels cannot be
    differentiated twice on a CPU, which the penalty on the gradient needs.

    Args:
        encoder: Config of a plain vision transformer with ``out_type='raw'``, such as TinyViT; all
            of it trains. It normalises its output unless ``final_norm=False``.

    Shapes:
        (B, 3, H, W) -> (B,).

    Raises:
        UserError: If the encoder gives no sequence with a class token.

    Example:
        >>> import torch
        >>> from rein_seg.models.critic import Critic
        >>> arch = dict(embed_dims=8, num_layers=2, num_heads=2, feedforward_channels=16)
        >>> critic = Critic(dict(type='TinyViT', arch=arch, img_size=32, init_seed=0))
        >>> critic(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2])
    """

    def __init__(self, encoder: Mapping[str, Any], *, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        kind = MODELS.get(str(encoder.get('type')))
        taken = {} if kind is None else signature(kind).parameters
        whole = {key: value for key, value in _DEFAULTS.items() if key in taken} | dict(encoder)
        if kind is not None and 'out_type' not in taken:
            raise _no_class_token(whole)
        if whole.get('out_type', 'raw') != 'raw':
            raise UserError(
                f'critic.encoder.out_type={whole["out_type"]!r}: the critic reads the class token, '
                "which only out_type='raw' has: leave it out"
            )
        with building('model.critic.encoder'):
            self.encoder, _ = build_encoder(whole)
        if not find_anatomy(self.encoder).num_prefix:
            raise _no_class_token(whole)
        width = int(self.encoder.embed_dims)  # type: ignore[arg-type]
        self.score = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Returns the (B,) scores of (B, 3, H, W) images."""
        with sdpa_kernel(SDPBackend.MATH):
            tokens = self.encoder(images)[-1]  # (B, 1+N, C)
        return self.score(tokens[:, 0]).squeeze(1)


def _no_class_token(cfg: Mapping[str, Any]) -> UserError:
    return UserError(
        f'model.critic.encoder.type={cfg["type"]!r} has no class token here, which the critic '
        'reads: expected a plain vision transformer, such as TinyViT, DINOv2 or '
        'mmpretrain.VisionTransformer, with its class token'
    )


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, share: Tensor
) -> Tensor:
    """Returns the mean of (|gradient of the score by the image| - 1)^2 between real and fake.

    The norm of an image runs over all its values. The result can be differentiated by the weights
    of the critic, not by the images.

    Args:
        critic: (B, ...) images -> (B,) scores.
        real: (B, ...) images.
        fake: Images of the same shape.
        share: (B,) shares of the real image, 0..1.

    Source: Gulrajani et al., "Improved Training of Wasserstein GANs" (NeurIPS 2017), Algorithm 1.

    Example:
        >>> import torch
        >>> from rein_seg.models.critic import gradient_penalty
        >>> slope = torch.tensor([3.0, 4.0])
        >>> images = torch.zeros(1, 2)
        >>> gradient_penalty(lambda x: x @ slope, images, images, torch.ones(1))
        tensor(16.)
    """
    share = share.view(-1, *[1] * (real.dim() - 1))
    between = (share * real + (1 - share) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()
