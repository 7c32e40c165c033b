"""Batch norms merged into convolutions: the same output, in every kind of network."""

import copy

import pytest
import torch
from mmseg.models.backbones import DDRNet
from torch import nn

from rein_seg.encoders import build_encoder
from rein_seg.errors import UserError
from rein_seg.fast.merged_norms import merge_norms
from rein_seg.models.backbone import PEFTBackbone
from tests.encoders.tiny import ENCODERS, FOUR_MAPS, image


def give_statistics(model):
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value, low in ((module.running_var, 0.5), (module.weight, 0.5)):
                value.data.uniform_(low, 1.5, generator=generator)
            for value in (module.running_mean, module.bias):
                value.data.normal_(std=0.2, generator=generator)
    model.eval()
    return model


def norms(model):
    return [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]


def check(model, run, left):
    with torch.no_grad():
        before = run(model)
        state = copy.deepcopy(model.state_dict())
        merged = merge_norms(model, run)
        torch.testing.assert_close(run(merged), before, rtol=1e-4, atol=1e-4)
        assert torch.equal(run(model), before)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in state.items())
    assert len(norms(merged)) == left
    weights = [m.weight for m in merged.modules() if isinstance(m, nn.Conv2d)]
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in weights)


def join(maps):
    return torch.cat([m.flatten(1) for m in maps], 1)


@pytest.mark.parametrize('family', ['ddrnet', 'resnet'])
def test_encoders(family):
    encoder, _ = build_encoder(FOUR_MAPS[family])
    # DDRNet's pyramid of pooled maps has its norms in front of its convolutions
    check(give_statistics(encoder), lambda m: join(m(image(64, 64))), {'ddrnet': 11}.get(family, 0))


def test_the_network_of_mmseg():
    check(give_statistics(DDRNet(channels=4, ppm_channels=8)), lambda m: m(image(64, 64)), 11)


def test_what_cannot_be_merged_stays():
    """A convolution that runs twice, a norm without statistics, a norm of another convolution."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.twice, self.one, self.two = (nn.Conv2d(3, 3, 1) for _ in range(3))
            self.norm_of_twice, self.own = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
            self.without = nn.BatchNorm2d(3, track_running_stats=False)

        def forward(self, x):
            x = self.norm_of_twice(self.twice(self.twice(x)))
            return self.own(self.one(x) + 1) + self.without(self.two(x))

    check(give_statistics_of_tracked(Net()), lambda m: m(torch.ones(2, 3, 4, 5).cumsum(3)), 3)


def give_statistics_of_tracked(model):
    model.norm_of_twice.running_var.fill_(0.3)
    model.own.running_mean.fill_(0.3)
    return model.eval()


def test_a_convolution_that_something_else_reads_is_an_error():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x):
            y = self.conv(x)
            return self.norm(y) + y

    model = Net().eval()
    model.norm.running_var.fill_(0.1)
    with pytest.raises(UserError, match='merged Net differs by .* leave it as it is'):
        merge_norms(model, lambda m: m(torch.ones(1, 3, 4, 5)))


@pytest.mark.parametrize('peft', [dict(type='LoRA', rank=2), dict(type='SSF')])
def test_methods_that_are_still_hooked_keep_their_effect(peft):
    backbone = give_statistics(PEFTBackbone(ENCODERS['ddrnet'], peft))
    for param in backbone.peft.parameters():
        param.data.add_(0.01)

    def run(model):
        return join(model(image(64, 64)).maps)

    with torch.no_grad():
        merged = merge_norms(backbone, run)
        before = run(backbone)
        scale = before.abs().max()
        torch.testing.assert_close(run(merged) / scale, before / scale, rtol=1e-4, atol=1e-5)
    assert len(norms(merged)) < len(norms(backbone))
