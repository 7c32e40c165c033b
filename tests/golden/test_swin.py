"""A Swin block with official names, loaded as users load it, against official blocks.

SSF scales and shifts what every norm and operation of a block gives, so its vectors see each of
their sites.
"""

import pytest

from rein_seg.peft import SSF
from tests.golden.blocks import check, swin_block
from tests.golden.collect import cases
from tests.golden.toy import fill_ssf

# role of a site -> names of its scale and shift
PLACES = {
    'norm1': ('ssf_scale_1', 'ssf_shift_1'),
    'qkv': ('attn.ssf_scale_1', 'attn.ssf_shift_1'),
    'proj': ('attn.ssf_scale_2', 'attn.ssf_shift_2'),
    'norm2': ('ssf_scale_2', 'ssf_shift_2'),
    'fc1': ('mlp.ssf_scale_1', 'mlp.ssf_shift_1'),
    'fc2': ('mlp.ssf_scale_2', 'mlp.ssf_shift_2'),
}


@pytest.mark.parametrize('golden', cases('ssf', 'swin'))
def test_block_equals_the_official_one(golden, tmp_path):
    weights, config = golden.tensors('weight'), golden.meta['config']
    block, index = swin_block(config, weights, tmp_path)
    method = block.attach(SSF(list(PLACES), blocks=[index]))
    own = fill_ssf(method, block.anatomy, PLACES, weights)
    x = golden.tensors('input')['x'].requires_grad_()
    check(golden, {'y': block(x)}, {name: lambda p=p: p.grad for name, p in own.items()}, x)
