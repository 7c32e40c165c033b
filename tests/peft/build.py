"""A tiny encoder with a method, for tests of one method."""

import torch
from mmseg.registry import MODELS

from tests.encoders.tiny import ENCODERS


def backbone(family='vit', *, activation_checkpointing=False, **peft):
    torch.manual_seed(1)
    saving = dict(activation_checkpointing=activation_checkpointing)
    return MODELS.build(dict(type='PEFTBackbone', encoder=ENCODERS[family], peft=peft, **saving))


def image(batch=1, side=32):
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(7))


def move(model, std=0.1):
    """Gives every parameter of the method a trained-looking value."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for param in model.peft.parameters():
            param.add_(std * torch.randn(param.shape, generator=generator))
    return model


def relative(a, b):
    """Returns the largest difference of two lists of maps, as a part of the largest value."""
    return max(((x - y).abs().max() / y.abs().max()).item() for x, y in zip(a, b, strict=True))
