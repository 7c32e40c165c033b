"""Tokens of blocks: a module for each stage, and for each width of its blocks."""

import torch

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.peft import build_methods
from rein_seg.peft.context import Context
from rein_seg.structures import StreamSite
from tests.encoders.tiny import ENCODERS, image


def test_blocks_of_two_widths_in_one_stage_have_a_module_each():
    """EfficientNet's stride 16 has two groups of blocks, of 80 and 112 channels."""
    encoder, _ = build_encoder(
        dict(type='TimmStages', model='tf_efficientnet_lite0', out_indices=[3], init_seed=0)
    )
    anatomy = find_anatomy(encoder)
    method = build_methods(dict(type='Rein', num_tokens=3, rank=2, query_dims=4))
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = encoder(image)[0]
        method.attach(encoder, anatomy)
        assert not torch.equal(encoder(image)[0], before)
    widths = {}
    for site in anatomy.find(StreamSite, where='out'):
        module, layer = method._places[site.block]
        widths.setdefault(module, []).append((site.stage, site.channels))
        assert layer == len(widths[module]) - 1
        assert method.stages[module].mlp_delta_f.in_features == site.channels
    assert all(len(set(places)) == 1 for places in widths.values())
    assert {channels for ((_, channels), *_) in widths.values()} >= {80, 112}
    assert method.queries().shape == (3, 4)


def test_rein_does_not_read_the_grid_and_set_does(monkeypatch):
    """Hiera's tokens lie in another order than the image's."""
    asked = []
    monkeypatch.setattr(Context, 'grid', lambda self, x: asked.append(x.shape) or (4, 6))
    for name, times in (('Rein', 0), ('SET', 2)):
        encoder, _ = build_encoder(ENCODERS['vit_tiny'])
        method = build_methods(dict(type=name, num_tokens=3, rank=2, query_dims=4))
        method.attach(encoder, find_anatomy(encoder))
        asked.clear()
        with torch.no_grad():
            encoder(image())
        assert len(asked) == times, name
