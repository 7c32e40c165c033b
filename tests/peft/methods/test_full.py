"""Full fine-tuning alone."""

import pytest
import torch

from rein_seg.errors import UserError
from tests.peft.build import backbone, image


def test_gives_up_when_its_weights_have_moved():
    model = backbone(type='Full')
    assert not model.peft.changed
    with torch.no_grad():
        model.encoder.pos_embed.add_(1)
    assert model.peft.changed
    with pytest.raises(RuntimeError, match='trained the encoder'):
        model.peft.detach()


def statistics(model):
    return {n: b.clone() for n, b in model.encoder.named_buffers() if 'running_' in n}


@pytest.mark.parametrize('norm_eval', [False, True])
def test_statistics_move_unless_they_are_kept(norm_eval):
    model = backbone('resnet', type='Full', norm_eval=norm_eval).train()
    before = statistics(model)
    model(image(batch=2))
    moved = [name for name, value in statistics(model).items() if (value != before[name]).any()]
    assert len(moved) == (0 if norm_eval else len(before))
    saved = [name for name in model.state_dict() if 'running_' in name]
    assert len(saved) == len(moved)


def test_kept_statistics_are_computed_with_while_scales_train():
    model = backbone('resnet', type='Full', norm_eval=True)
    training, testing = (model.train(mode)(image(batch=2)).maps[-1] for mode in (True, False))
    torch.testing.assert_close(training, testing, rtol=0, atol=0)
    training.sum().backward()
    norms = [m for m in model.encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms and all(norm.weight.grad.any() for norm in norms)


def test_statistics_cannot_be_kept_where_there_are_none():
    with pytest.raises(UserError, match='norm_eval=True has no effect on .*no batch norm'):
        backbone('vit', type='Full', norm_eval=True)
