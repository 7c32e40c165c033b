"""DDRNet's head: the same as mmseg's, on one map of any encoder, and as an auxiliary head."""

import pytest
import torch
from mmseg.models import DDRHead

from rein_seg.errors import UserError
from rein_seg.heads import DDRNetHead
from rein_seg.structures import Features
from tests.models.tiny import UNLINKED, build

RULES = (('head.0.conv', 'conv1'), ('head.0.bn', 'bn1'), ('head.1', 'bn2'), ('conv_seg', 'conv2'))


def test_equals_the_head_of_mmseg():
    torch.manual_seed(0)
    theirs = DDRHead(8, 4, num_classes=3, loss_decode=[dict(type='OhemCrossEntropy')] * 2).train(
        False
    )
    state = {}
    for name, value in theirs.state_dict().items():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5)
        for old, new in RULES:
            if name.startswith(old + '.'):
                state[new + name.removeprefix(old)] = value
    ours = DDRNetHead(8, in_index=0, channels=4, num_classes=3).eval()
    ours.load_state_dict(state)
    x = torch.randn(2, 8, 6, 9)
    torch.testing.assert_close(ours(Features((x,))), theirs(x))
    assert set(ours.state_dict()) == set(state)
    assert {name.split('.')[0] for name in state} == {'bn1', 'conv1', 'bn2', 'conv2'}


def test_reads_the_map_it_is_told_and_says_so_where_there_are_several():
    aux = dict(type='DDRNetHead', channels=4, in_index=1, loss_decode=dict(
        type='OHEMLoss', min_kept=100, loss_weight=0.4))  # fmt: skip
    head = dict(type='DDRNetHead', channels=4, in_index=0)
    model = build('ddrnet', head, UNLINKED, auxiliary_head=aux)
    assert model.decode_head.conv1.weight.shape == (4, 64, 3, 3)
    assert model.auxiliary_head[0].conv1.weight.shape == (4, 32, 3, 3)
    losses = {name: value for name, head in model.heads.items() for name, value in head.loss(
        model.extract_feat(torch.randn(2, 3, 32, 32)), torch.zeros(2, 32, 32, dtype=torch.long)
    ).items()}  # fmt: skip
    assert {'loss_ce', 'loss_ohem'} < set(losses)
    last = build('vit', {**head, 'in_index': -1}, UNLINKED)
    assert last.decode_head.in_channels == 32
    with pytest.raises(
        UserError, match='DDRNetHead reads one map.* 2 .*set in_index, 0 for DDRNet'
    ):
        build('ddrnet', {'type': 'DDRNetHead'}, UNLINKED)
