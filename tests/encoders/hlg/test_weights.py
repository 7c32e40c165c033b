"""Files of HLG: prefixes, classifiers, files of other sizes and encoders."""

import pytest
import torch

from rein_seg.encoders import build_encoder, shapes_only
from rein_seg.encoders.hlg.weights import convert_hlg
from rein_seg.errors import UserError
from tests.encoders.tiny import ENCODERS, image

TINY = ENCODERS['hlg']


def load(state, folder, **change):
    torch.save(state, folder / 'hlg.pth')
    cfg = {**TINY, **change, 'checkpoint': str(folder / 'hlg.pth')}
    del cfg['init_seed']
    return build_encoder(cfg)[0]


@pytest.mark.parametrize('prefix', ['', 'backbone.', 'module.', 'module.backbone.'])
def test_files_below_any_prefix_with_heads(prefix, tmp_path):
    source = build_encoder({**TINY, 'init_seed': 5})[0]
    state = {prefix + name: tensor for name, tensor in source.state_dict().items()}
    state[f'{prefix}head.weight'] = torch.ones(4, 128)
    encoder = load({'state_dict': state}, tmp_path)
    with torch.no_grad():
        for x, y in zip(encoder(image()), source(image()), strict=True):
            assert torch.equal(x, y)


def test_heads_are_named_and_counters_may_lack():
    encoder = build_encoder(TINY)[0]
    state = {k: v for k, v in encoder.state_dict().items() if 'num_batches' not in k}
    converted = convert_hlg(encoder, {**state, 'head.bias': torch.ones(4)})
    assert converted.left_out == ('head.bias',)
    assert converted.tensors.keys() == encoder.state_dict().keys()


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(depths=[2, 1]), 'depths 2 1.*depths 2 2.*set encoder.arch'),
        (dict(embed_dims=[64, 64]), 'widths 64 64.*widths 128 128'),
    ],
)
def test_a_file_of_another_size_is_named(change, words, tmp_path):
    other = build_encoder({**TINY, 'arch': {**TINY['arch'], **change}})[0]
    with pytest.raises(UserError, match=words):
        load(other.state_dict(), tmp_path)


def test_published_sizes_have_their_names():
    with shapes_only():
        small, medium = (build_encoder({**TINY, 'arch': a})[0] for a in ('small', 'medium'))
    with pytest.raises(UserError, match=r'is HLG-Medium \(widths 96.*the encoder HLG-Small'):
        convert_hlg(small, dict(medium.state_dict()))


def test_a_file_of_another_encoder_is_refused(tmp_path):
    state = build_encoder(ENCODERS['swin'])[0].state_dict()
    with pytest.raises(UserError, match='no s0_conv.0.0.weight.*expected a file of HLG'):
        load(state, tmp_path)


def test_an_unknown_tensor_is_an_error(tmp_path):
    state = {**build_encoder(TINY)[0].state_dict(), 'extra': torch.ones(1)}
    with pytest.raises(UserError, match='extra'):
        load(state, tmp_path)
