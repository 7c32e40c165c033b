"""LinearHead: the vote of the queries, ignored pixels."""

from dataclasses import replace

import torch

from rein_seg.heads import LinearHead
from rein_seg.structures import Features
from tests.models.tiny import REIN, UNLINKED, build


def test_linear_head_vote_starts_at_zero_and_uses_queries():
    torch.manual_seed(0)
    with_queries = build(peft={**REIN, 'zero_init': True}).eval()
    x = torch.randn(1, 3, 32, 32)
    head = with_queries.decode_head
    features = with_queries.extract_feat(x)
    patches = torch.cat(features.maps, dim=1).permute(0, 2, 3, 1)
    plain = head.cls_seg(head.norm(patches).permute(0, 3, 1, 2))
    torch.testing.assert_close(head(features), plain)
    head.query_cls.bias.data += torch.arange(4.0)
    # the attention over queries sums to one, so a bias votes with its own value
    expected = plain + torch.arange(4.0).view(1, 4, 1, 1)
    torch.testing.assert_close(head(features), expected)
    assert not hasattr(build(peft=UNLINKED).decode_head, 'query_proj')


def test_features_of_ignored_pixels_change_no_loss():
    head = LinearHead([8], in_index=[0], num_classes=3)
    labels = torch.randint(0, 3, (2, 6, 8))
    labels[:, 2:4, 1:5] = 255
    ignored = (labels == 255)[:, None]
    x = torch.randn(2, 8, 6, 8)
    noisy = torch.where(ignored, torch.randn_like(x), x)
    values = [head.loss(Features((maps,)), labels) for maps in (x, noisy)]
    assert torch.equal(values[0]['loss_ce'], values[1]['loss_ce'])
    assert torch.equal(values[0]['acc_seg'], values[1]['acc_seg'])


def test_queries_of_a_head_that_joined_the_encoder_are_not_read():
    head = LinearHead(in_channels=[8], in_index=[0], num_classes=3)
    features = Features(maps=(torch.randn(2, 8, 4, 6),))
    joined = replace(features, queries=torch.randn(2, 5, 8))
    assert torch.equal(head(features), head(joined))
