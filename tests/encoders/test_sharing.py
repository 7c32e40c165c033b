"""One encoder for several configs, which must describe it."""

import shutil

import pytest

from rein_seg.encoders import SharedEncoder, build_encoder, sharing
from rein_seg.encoders.pretrained import package_file
from rein_seg.errors import UserError

CFG = dict(type='TinyViT', checkpoint='package:tiny_vit.safetensors')


def test_the_same_weights_under_another_name_and_path_are_the_same_encoder(tmp_path):
    encoder, info = build_encoder(CFG)
    copy = tmp_path / 'copy.safetensors'
    shutil.copy(package_file(CFG['checkpoint']), copy)
    for given, other in ((CFG, str(copy)), ({**CFG, 'checkpoint': str(copy)}, CFG['checkpoint'])):
        with sharing(SharedEncoder(encoder, info, given)):
            again, renamed = build_encoder({**CFG, 'name': 'mine', 'checkpoint': other})
        assert again is encoder
        assert (renamed.name, renamed.identity) == ('mine', info.identity)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(img_size=64), r'img_size=\[64, 64\], not \[128, 256\]'),
        (dict(checkpoint=None, init_seed=1), "weights='init_seed=1', not 'sha256:"),
        (dict(checkpoint='none.pth'), "'none.pth' does not exist"),
    ],
)
def test_another_encoder_is_refused(change, message):
    encoder, info = build_encoder(CFG)
    with sharing(SharedEncoder(encoder, info, CFG)), pytest.raises(UserError, match=message):
        build_encoder({**CFG, **change})
