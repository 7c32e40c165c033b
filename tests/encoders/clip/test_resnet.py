"""CLIP's ResNet: its maps, its attention pool, its files; numbers of the authors: tests/golden."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch import nn

from rein_seg.encoders import build_encoder, convert_weights, find_anatomy, shapes_only
from rein_seg.encoders.clip import encoder_of_file
from rein_seg.encoders.clip.attention_pool import AttentionPool
from rein_seg.errors import UserError
from rein_seg.models.backbone import PEFTBackbone
from rein_seg.structures import BranchSite, JointSite, NormSite, OpSite, ParamSite
from tests.encoders.files import from_file
from tests.encoders.tiny import ENCODERS, image
from tests.paths import REPO

TINY = {**ENCODERS['resnet_clip_joint'], 'arch': dict(width=4, depths=[1, 2, 1, 1])}


def build(**change):
    return build_encoder({**TINY, **change})[0]


def official(encoder, prefix='visual.'):
    state = encoder.state_dict().items()
    return {prefix + k.replace('joint.', 'attnpool.'): v.clone() for k, v in state}


def text():
    names = ('token_embedding.weight', 'ln_final.bias', 'transformer.resblocks.0.ln_1.bias')
    names += ('positional_embedding', 'text_projection', 'logit_scale', 'context_length')
    return {name: torch.ones(2) for name in names}


@pytest.mark.parametrize(
    ('arch', 'img_size', 'dims', 'millions'),
    [
        ('rn50', 512, 1024, 38.74),
        ('rn50', 224, 1024, 38.32),
        ('rn101', 224, 512, 56.26),
        ('rn50x4', 288, 640, 87.14),
        ('rn50x16', 384, 768, 167.33),
        ('rn50x64', 448, 1024, 420.38),
    ],
)
def test_parameters_of_the_published_sizes(arch, img_size, dims, millions):
    cfg = dict(type='CLIPResNet', arch=arch, img_size=img_size, joint_dims=dims, init_seed=0)
    with shapes_only():
        encoder, _ = build_encoder(cfg)
    count = sum(p.numel() for p in encoder.parameters())
    assert round(count / 1e6, 2) == millions
    assert encoder.joint.num_heads == encoder.width // 2


@pytest.mark.parametrize(
    ('base', 'millions'),
    [
        ('clip_resnet50', 38.74),
        ('clip_resnet101', 56.68),
        ('clip_resnet50x4', 87.59),
        ('clip_resnet50x16', 167.67),
    ],
)
def test_bases(base, millions):
    cfg = dict(Config.fromfile(REPO / f'configs/_base_/encoders/{base}.py').encoder)
    size, address = cfg['checkpoint'].removesuffix('.pt')[12:], cfg.pop('checkpoint_url')
    assert len(address.split('/')[-2]) == 64 and address.endswith(f'/{size}.pt')
    assert size.lower() == cfg['arch']
    del cfg['checkpoint']
    with shapes_only():
        encoder, info = build_encoder({**cfg, 'init_seed': 0})
    assert round(sum(p.numel() for p in encoder.parameters()) / 1e6, 2) == millions
    assert info.mean[0] / 255 == pytest.approx(0.48145466, rel=1e-5)
    assert info.std[2] / 255 == pytest.approx(0.27577711, rel=1e-5)


@torch.no_grad()
def test_the_mean_as_the_only_query_gives_the_same_global_embedding():
    torch.manual_seed(0)
    pool = AttentionPool(16, dims=6, num_heads=4, grid=(2, 3))
    x = torch.randn(2, 16, 2, 3)
    tokens = x.flatten(2).permute(2, 0, 1)
    tokens = torch.cat((tokens.mean(0, keepdim=True), tokens)) + pool.positional_embedding[:, None]
    parts = (pool.q_proj, pool.k_proj, pool.v_proj)
    expected, _ = F.multi_head_attention_forward(
        tokens[:1],
        tokens,
        tokens,
        16,
        4,
        None,
        torch.cat([part.bias for part in parts]),
        None,
        None,
        False,
        0.0,
        pool.c_proj.weight,
        pool.c_proj.bias,
        training=False,
        use_separate_proj_weight=True,
        q_proj_weight=pool.q_proj.weight,
        k_proj_weight=pool.k_proj.weight,
        v_proj_weight=pool.v_proj.weight,
    )
    torch.testing.assert_close(pool(x)[0], expected[0])


@torch.no_grad()
def test_positions_are_resized_bilinearly_without_the_row_of_the_mean():
    pool = AttentionPool(4, dims=6, num_heads=1, grid=(2, 3))
    assert pool.positions((2, 3)) is pool.positional_embedding
    table = pool.positional_embedding[1:].view(1, 2, 3, 4).permute(0, 3, 1, 2)
    expected = F.interpolate(table, size=(3, 5), mode='bilinear').flatten(2)[0].T
    found = pool.positions((3, 5))
    torch.testing.assert_close(found[1:], expected)
    torch.testing.assert_close(found[:1], pool.positional_embedding[:1])


@torch.no_grad()
def test_strides_are_average_pools_and_the_last_relu_follows_the_sum():
    encoder = build()
    block = encoder.layer2[0]
    x = torch.randn(2, 16, 8, 12).relu()
    inner = F.relu(block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x))))))
    shortcut = block.downsample[2](block.downsample[1](F.avg_pool2d(x, 2)))
    expected = F.relu(block.bn3(block.conv3(F.avg_pool2d(inner, 2))) + shortcut)
    torch.testing.assert_close(block(x), expected)
    assert [name for name, _ in block.downsample.named_children()] == ['-1', '0', '1']
    assert encoder.layer2[1].downsample is None and encoder.layer1[0].downsample is not None


@torch.no_grad()
def test_maps_and_joint_embedding_of_a_backbone():
    backbone = PEFTBackbone({**TINY, 'out_indices': [1]}, dict(type='Frozen')).train()
    assert not backbone.encoder.training  # frozen: the running statistics
    features = backbone(image(64, 96))
    every = build()(image(64, 96))
    assert [tuple(x.shape[1:]) for x in every] == [
        (16, 16, 24), (32, 8, 12), (64, 4, 6), (128, 2, 3),
    ]  # fmt: skip
    torch.testing.assert_close(features.maps, (every[1],))
    expected = backbone.encoder.joint(every[3])
    torch.testing.assert_close(features.joint, expected)
    assert expected[1].shape == (2, 8, 2, 3)


def test_full_trains_the_batch_norms_with_the_statistics_of_the_batch():
    backbone = PEFTBackbone(TINY, dict(type='Full')).train()
    norm, x = backbone.encoder.bn1, image(64, 64)
    given = backbone.encoder.conv1(x)
    features = backbone(x)
    expected = 0.9 + 0.1 * given.var((0, 2, 3))
    torch.testing.assert_close(norm.running_var, expected)
    features.joint[0].square().sum().backward()
    assert all(p.grad is not None for p in backbone.encoder.parameters())
    assert norm.weight.grad.abs().max() > 0
    backbone.eval()
    before = norm.running_var.clone()
    backbone(x)
    assert torch.equal(norm.running_var, before)


def test_sites():
    anatomy = find_anatomy(build())
    encoder = build()
    convs = {name for name, m in encoder.named_modules() if isinstance(m, nn.Conv2d)}
    norms = {name for name, m in encoder.named_modules() if isinstance(m, nn.BatchNorm2d)}
    linears = {f'joint.{x}_proj': f'joint_{"proj" if x == "c" else x}' for x in 'qkvc'}
    assert {s.name for s in anatomy.find(OpSite)} == convs | linears.keys()
    assert {s.name: s.role for s in anatomy.find(OpSite) if s.name in linears} == linears
    assert {s.name for s in anatomy.find(NormSite)} == norms
    params = {s.name: s.role for s in anatomy.find(ParamSite)}
    assert params.keys() == {name for name, _ in encoder.named_parameters()}
    assert params['joint.positional_embedding'] == 'pos'
    assert (anatomy.stage_depths, anatomy.out_strides) == ((1, 2, 1, 1), (4, 8, 16, 32))
    assert (anatomy.stage_channels, anatomy.smallest_side) == ((16, 32, 64, 128), 32)
    assert anatomy.find(JointSite)[0].tap.layout == 'NCHW' and anatomy.joint_dims == 8
    branch = anatomy.find(BranchSite, branch='conv', blocks=[1])[0]
    assert branch.conv.stride == (1, 1) and isinstance(branch.exit_pre.module, nn.AvgPool2d)
    assert branch.exit_pre.side == 'input'


def test_without_a_joint_space_stages_behind_the_last_map_are_not_run():
    encoder = build(joint_dims=None, out_indices=[0, 1])
    anatomy = find_anatomy(encoder)
    assert (anatomy.stage_depths, anatomy.smallest_side, anatomy.joint) == ((1, 2), 8, None)
    assert not any(s.name.startswith(('layer3', 'layer4')) for s in anatomy.find(ParamSite))
    assert len(encoder(image())) == 2 and encoder.joint is None


@torch.no_grad()
def test_lora_in_the_attention_pool_changes_the_joint_embedding_alone_and_merges():
    peft = dict(type='LoRA', targets=['joint_q', 'joint_v', 'joint_proj'], rank=2)
    backbone = PEFTBackbone(TINY, peft).eval()
    before = backbone(image(64, 96))
    for param in backbone.peft.parameters():
        nn.init.normal_(param)
    after = backbone(image(64, 96))
    torch.testing.assert_close(after.maps, before.maps)
    assert (after.joint[1] - before.joint[1]).abs().max() > 0.1
    backbone.merge()
    torch.testing.assert_close(backbone(image(64, 96)).joint, after.joint, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_methods_of_the_grid_know_the_tokens_of_the_attention_pool():
    peft = dict(type='ConvLoRA', targets=['joint_v'])
    backbone = PEFTBackbone(TINY, peft).eval()
    for param in backbone.peft.parameters():
        nn.init.normal_(param)
    assert backbone(image(64, 96)).joint[1].shape == (2, 8, 2, 3)


@pytest.mark.parametrize('layout', ['whole', 'tower', 'half', 'module', 'ours', 'denseclip'])
def test_files_reach_every_tensor(layout, tmp_path):
    original = build(init_seed=3)
    theirs, state = official(original, 'backbone.'), official(original)
    system = ('text_encoder.ln_final.bias', 'context_decoder.out_proj.0.bias', 'contexts', 'gamma')
    content = {
        'whole': {**state, **text()},
        'tower': official(original, ''),
        'half': {k: v.half() if v.is_floating_point() else v for k, v in state.items()},
        'module': {f'module.{k}': v for k, v in {**state, **text()}.items()},
        'ours': original.state_dict(),
        'denseclip': {**theirs, **dict.fromkeys(system, torch.ones(2))},
    }
    torch.save(content[layout], tmp_path / 'w.pt')
    encoder, _ = from_file(TINY, tmp_path / 'w.pt')
    for name, tensor in original.state_dict().items():
        half = layout == 'half' and tensor.is_floating_point()
        expected = tensor.half().float() if half else tensor
        assert torch.equal(encoder.state_dict()[name], expected), name


def test_what_is_left_out_and_what_is_resized():
    original = build(img_size=96)
    converted = convert_weights(build(), {**official(original), **text()})
    assert set(converted.left_out) == set(text())
    assert converted.resampled == ('joint.positional_embedding 3x3 -> 2x2',)
    table = original.joint.positional_embedding
    places = table[1:].view(1, 3, 3, 128).permute(0, 3, 1, 2)
    expected = F.interpolate(places, size=(2, 2), mode='bilinear').flatten(2)[0].T
    torch.testing.assert_close(converted.tensors['joint.positional_embedding'][1:], expected)
    maps = convert_weights(build(joint_dims=None), official(original))
    assert all(name.startswith('joint.') for name in maps.left_out) and len(maps.left_out) == 9
    counted = {k: v for k, v in official(original).items() if 'num_batches' not in k}
    tracked = convert_weights(build(img_size=96), counted).tensors
    assert tracked.keys() == original.state_dict().keys()


def test_positions_of_as_many_places_in_another_shape():
    square, wide = build(img_size=128), build(img_size=(64, 256))
    name = 'joint.positional_embedding'
    converted = convert_weights(wide, official(square))
    assert converted.resampled == (f'{name} 4x4 -> 2x8',)
    assert (converted.tensors[name] - square.joint.positional_embedding).abs().max() > 0.01
    again = convert_weights(wide, dict(wide.state_dict()))  # a file of our own: taken as it is
    assert torch.equal(again.tensors[name], wide.joint.positional_embedding)
    assert again.resampled == ()


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (dict(arch='rn60'), "arch='rn60'.*rn50"),
        (
            dict(arch=dict(width=1, depths=[1, 1, 1, 1])),
            'width=1: expected a whole number, 2 or more',
        ),
        (dict(arch=dict(width=4, depths=[1, 1, 1])), r'depths=\[1, 1, 1\].*blocks of four stages'),
        (dict(arch=dict(width=4, depths=[1, 0, 1, 1])), r'depths\[1\]=0: expected a whole number'),
        (dict(out_indices=[4]), r'out_indices=\[4\] goes beyond the encoder: it has 4 stages'),
        (dict(out_indices=[1, 0]), 'must rise'),
        (dict(joint_dims=0), 'joint_dims=0: expected a whole number'),
        (dict(pool_heads=12), 'pool_heads=12 does not divide the 128 channels.*such as 4'),
        (
            dict(arch=dict(width=7, depths=[1, 1, 1, 1])),
            'pool_heads=3 does not divide the 224 channels',
        ),
        (dict(img_size=16), 'img_size=16'),
    ],
)
def test_wrong_arguments_are_named(change, said):
    with pytest.raises(UserError, match=said):
        build(**change)


def test_other_files_are_named():
    whole = official(build())
    for encoder, state, said in (
        (build(arch='rn50', joint_dims=None), whole, r"width 4, depths \[1, 2, 1, 1\].*'rn50'"),
        (build(joint_dims=6), whole, 'is 8 wide.*joint_dims=6: set encoder.joint_dims=8'),
        (build(), {k: v for k, v in whole.items() if 'pool' not in k}, 'no joint.*=8 needs'),
        (build(), {k: v for k, v in whole.items() if 'visual.conv3' not in k}, 'mmseg.ResNet'),
        (build(), {'visual.class_embedding': torch.ones(4)}, "transformer.*type='CLIPViT'"),
        (build(), {'cls_token': torch.ones(4)}, "transformer.*type='CLIPViT'"),
    ):
        with pytest.raises(UserError, match=said):
            convert_weights(encoder, state)


def test_sizes_of_images():
    backbone = PEFTBackbone(TINY, dict(type='Frozen'))
    assert backbone(torch.zeros(1, 3, 70, 40)).joint[1].shape == (1, 8, 2, 1)
    said = r'sides of 32 pixels or more, not \(31, 64\).*resize or pad to \(32, 64\)'
    with pytest.raises(UserError, match=said):
        backbone(torch.zeros(1, 3, 31, 64))


def test_the_config_of_a_file():
    assert encoder_of_file(official(build(), 'module.visual.')) == dict(
        type='CLIPResNet', arch=dict(width=4, depths=[1, 2, 1, 1]), img_size=64, joint_dims=8
    )
    with shapes_only():
        cfg = dict(type='CLIPResNet', arch='rn101', joint_dims=512, init_seed=0)
        state = official(build_encoder(cfg)[0])
    assert encoder_of_file(state)['arch'] == 'rn101'
    state = official(build())
    damaged = {name: x for name, x in state.items() if 'layer4' not in name}
    with pytest.raises(UserError, match='without layer4: expected four stages; .* get it again'):
        encoder_of_file(damaged)
    damaged = {'visual.class_embedding': torch.ones(4), 'visual.proj': torch.ones(4, 2)}
    with pytest.raises(UserError, match="other names, shapes or types .*KeyError: 'conv1.weight'"):
        encoder_of_file(damaged)
    for state in (official(build(joint_dims=None)), {'x': torch.ones(1)}, {}):
        with pytest.raises(UserError, match='holds no image tower of CLIP with a joint space'):
            encoder_of_file(state)
