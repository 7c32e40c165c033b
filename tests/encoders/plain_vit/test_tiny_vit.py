"""The package's TinyViT with a final norm, which its file does not have."""

import pytest
import torch

from rein_seg.encoders import build_encoder, convert_weights
from rein_seg.encoders.plain_vit import TinyViT

FILES = {
    'TinyViT': 'package:tiny_vit.safetensors',
    'TinyCLIP': 'package:tinyclip.safetensors',
}


@pytest.mark.parametrize('kind', FILES)
def test_a_final_norm_starts_as_the_identity_and_norms_each_map(kind):
    cfg, image = dict(type=kind, checkpoint=FILES[kind]), torch.randn(1, 3, 64, 64)
    bare, _ = build_encoder(cfg)
    normed, _ = build_encoder({**cfg, 'final_norm': True})
    with torch.no_grad():
        for before, after in zip(bare(image), normed(image), strict=True):
            wanted = torch.nn.functional.layer_norm(before.permute(0, 2, 3, 1), (192,), eps=1e-6)
            assert torch.allclose(after, wanted.permute(0, 3, 1, 2), atol=1e-4)


def test_a_norm_in_the_file_is_taken():
    encoder = TinyViT(final_norm=True)
    state = {name: x + 1 for name, x in encoder.state_dict().items()}
    converted = convert_weights(encoder, state)
    assert converted.filled == ()
    assert torch.equal(converted.tensors['ln1.bias'], state['ln1.bias'])


def test_without_a_final_norm_nothing_is_added():
    encoder = TinyViT()
    converted = convert_weights(encoder, encoder.state_dict())
    assert converted.filled == () and converted.tensors.keys() == encoder.state_dict().keys()
