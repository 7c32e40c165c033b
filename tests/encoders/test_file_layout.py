"""Encoders back into the layout of their files: what nothing changed is the file's, bit for bit."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.encoders import build_encoder, convert_weights, to_file_layout
from rein_seg.encoders.resampling import resize_patch_kernel, shrink_patch_kernel
from rein_seg.errors import UserError
from tests.encoders.plain_vit.official import LAYOUTS, PLAIN, REGISTERS, published
from tests.encoders.swin.swin_models import official as swin_official
from tests.encoders.timm.official import official_dinov3, randomised
from tests.encoders.tiny import ENCODERS
from tests.peft.build import image, move, relative

MERGEABLE = {
    'LoRA': dict(rank=2),
    'LoRA patch': dict(targets=['patch', 'fc2'], rank=2),
    'DoRA': dict(rank=2),
    'VeRA': dict(rank=4),
    'PEGO': dict(rank=2, groups=2),
    'SoMA': dict(rank=2),
    'SVF': {},
    'SSF': {},
    'BitFit': dict(targets=['bias', 'pos', 'token']),
}


def built_from(cfg, state, folder, **peft):
    torch.save(state, folder / 'w.pth')
    cfg = {k: v for k, v in cfg.items() if k != 'init_seed'} | dict(checkpoint=folder / 'w.pth')
    cfg['checkpoint'] = str(cfg['checkpoint'])
    return MODELS.build(dict(type='PEFTBackbone', encoder=cfg, peft=peft)).eval()


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('cfg', [PLAIN, REGISTERS], ids=['plain', 'registers'])
def test_untouched_weights_are_the_file_again(layout, cfg, tmp_path):
    state = LAYOUTS[layout](published(cfg))
    state = state.get('model', state.get('teacher', state))
    made = to_file_layout(built_from(cfg, state, tmp_path, type='Frozen').encoder, state)
    assert made.changed == made.resized == ()
    assert made.resampled == (
        'patch_embed.projection.weight 7x7 -> 8x8',
        'pos_embed 5x5 -> 4x4',
    )
    assert list(made.tensors) == list(state)
    assert all(torch.equal(made.tensors[name], state[name]) for name in state)


@pytest.mark.parametrize('name', MERGEABLE)
def test_merged_methods_go_back_into_the_published_layout(name, tmp_path):
    state = published(REGISTERS)
    model = move(built_from(REGISTERS, state, tmp_path, type=name.split()[0], **MERGEABLE[name]))
    with torch.no_grad():
        before = model(image()).maps
        model.merge()
        made = to_file_layout(model.encoder, state)
        again = built_from(REGISTERS, made.tensors, tmp_path, type='Frozen')
        assert relative(again(image()).maps, before) < 1e-5
    assert made.tensors.keys() == state.keys()
    assert 0 < len(made.changed) < len(state)
    same = set(state) - set(made.changed)
    assert {'mask_token', 'norm.weight'} <= same
    assert all(torch.equal(made.tensors[key], state[key]) for key in same)
    sizes = {
        'LoRA patch': ('patch_embed.proj.weight 7x7 -> 8x8',),
        'BitFit': ('pos_embed 1x26x16 -> 1x17x16',),
    }
    assert made.resized == sizes.get(name, ())
    shapes = {key for key in state if made.tensors[key].shape != state[key].shape}
    assert shapes == {text.split()[0] for text in made.resized}


def test_enlarged_kernels_shrink_again():
    kernel = torch.randn(4, 3, 14, 14)
    scaled = resize_patch_kernel(kernel, (16, 16)) * torch.randn(4, 1, 1, 1)
    small = shrink_patch_kernel(scaled, (14, 14))
    torch.testing.assert_close(resize_patch_kernel(small, (16, 16)), scaled, rtol=1e-5, atol=1e-5)
    assert torch.allclose(shrink_patch_kernel(resize_patch_kernel(kernel, (16, 16)), (14, 14)),
                          kernel, atol=1e-5)  # fmt: skip


def test_half_precision_files_keep_what_did_not_change(tmp_path):
    state = {name: tensor.half() for name, tensor in published(PLAIN).items()}
    model = move(built_from(PLAIN, state, tmp_path, type='LoRA', targets=['q'], rank=2))
    model.merge()
    made = to_file_layout(model.encoder, state)
    assert set(made.changed) == {f'blocks.{i}.attn.qkv.weight' for i in range(2)}
    kinds = {made.tensors[name].dtype for name in made.changed}
    assert kinds == {torch.float32}  # half would lose what the method learned
    assert made.tensors['cls_token'].dtype == torch.float16


def test_permuted_tensors_and_added_norms_of_swin(tmp_path):
    cfg = ENCODERS['swin']
    source = build_encoder({**cfg, 'init_seed': 3})[0]
    state = swin_official(source)
    for name, tensor in convert_weights(source, state).tensors.items():
        if not name.startswith('norm0'):
            assert torch.equal(tensor, source.state_dict()[name]), name
    model = move(built_from(cfg, state, tmp_path, type='SSF'))
    model.merge()
    made = to_file_layout(model.encoder, state)
    assert 'layers.0.downsample.norm.weight' in made.changed
    assert set(made.tensors) - set(state) == {'norm0.weight', 'norm0.bias'}
    again = built_from(cfg, made.tensors, tmp_path, type='Frozen')
    for x, y in zip(again.encoder.parameters(), model.encoder.parameters(), strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize('layout', ['timm', 'official'])
def test_joined_biases_and_those_that_the_layout_cannot_hold(layout, tmp_path):
    """DINOv3 has biases of q and v; a method that gives k one has no place for it."""
    cfg = ENCODERS['dinov3']
    reference = randomised(cfg)
    state = reference.state_dict() if layout == 'timm' else official_dinov3(reference)
    model = move(built_from(cfg, state, tmp_path, type='LoRA', rank=2))
    with torch.no_grad():
        for layer in model.encoder.model.blocks:
            query, _, value = layer.attn.qkv.bias.chunk(3)
            query.mul_(2), value.add_(1)
        model.merge()
    made = to_file_layout(model.encoder, state)
    biases = {name for name in made.changed if name.endswith('bias')}
    if layout == 'timm':
        assert biases == {f'blocks.{i}.attn.{x}_bias' for i in range(2) for x in 'qv'}
        old, new = (t['blocks.1.attn.v_bias'] for t in (state, made.tensors))
        assert torch.equal(new, old + 1)
    assert made.tensors.keys() == state.keys()
    model = move(built_from(cfg, state, tmp_path, type='SSF', targets=['qkv']))
    model.merge()
    with pytest.raises(UserError, match='cannot hold what changed in model.blocks.0.attn.qkv.bia'):
        to_file_layout(model.encoder, state)


def test_new_tensors_have_no_place(tmp_path):
    cfg = ENCODERS['swin']
    state = build_encoder({**cfg, 'init_seed': 3})[0].state_dict()
    model = move(built_from(cfg, state, tmp_path, type='SSF', targets=['merge']))
    model.merge()
    with pytest.raises(UserError, match=r'no place for .*downsample.reduction.bias'):
        to_file_layout(model.encoder, state)
