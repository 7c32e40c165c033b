"""Full fine-tuning alone."""

import pytest
import torch

from tests.peft.build import backbone


def test_gives_up_when_its_weights_have_moved():
    model = backbone(type='Full')
    with torch.no_grad():
        model.encoder.pos_embed.add_(1)
    with pytest.raises(RuntimeError, match='trained the encoder'):
        model.peft.detach()
