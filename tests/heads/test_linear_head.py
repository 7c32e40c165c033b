"""LinearHead: the vote of the queries."""

import torch

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
