"""Official checkpoints of EoMT: every tensor is loaded, whole or added to the encoder's."""

import pytest
import torch
from mmseg.registry import MODELS
from safetensors.torch import save_file

from rein_seg.checkpoint import load_checkpoint, read_checkpoint
from rein_seg.errors import UserError
from rein_seg.models.eomt_file import authors_names, is_eomt
from tests.models import plain_mask_official as sizes
from tests.models.plain_mask_official import DINOV2, Draw, eomt_state, moved_backbone

DINOV3 = dict(
    type='TimmEncoder',
    model='vit_small_patch16_dinov3_qkvb',
    model_args=dict(
        embed_dim=sizes.WIDTH,
        depth=sizes.DEPTH,
        num_heads=2,
        mlp_ratio=sizes.HIDDEN / sizes.WIDTH,
        num_reg_tokens=2,
    ),
    img_size=sizes.GRID * sizes.PATCH,
    final_norm=True,
)


def build(encoder=DINOV2, peft='Full', seed=0, **head):
    torch.manual_seed(seed)
    sized = dict(num_queries=sizes.QUERIES, num_blocks=2)
    return MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(type='PEFTBackbone', encoder=encoder, peft=dict(type=peft)),
            decode_head={'type': 'EoMTHead', **sized, **head},
            num_classes=sizes.CLASSES,
        )
    ).eval()


def load(state, model, source='eomt.bin'):
    return load_checkpoint({'state_dict': state}, model, source=source)


@pytest.fixture(scope='module')
def pretrained(tmp_path_factory):
    """A file of a pretrained DINOv3, by the names of its authors, and its tensors."""
    tensors = authors_names(moved_backbone(Draw(seed=3)))
    path = tmp_path_factory.mktemp('dinov3') / 'dinov3.safetensors'
    save_file(tensors, str(path))
    return str(path), moved_backbone(Draw(seed=3))


def test_every_tensor_of_a_whole_file_is_loaded(tmp_path):
    state, model = eomt_state(), build()
    assert is_eomt(state)
    path = tmp_path / 'pytorch_model.bin'
    torch.save(state, path)  # flat, as on the hub
    report = load_checkpoint(read_checkpoint(str(path)), model, source=str(path))
    count = len(model.state_dict())
    assert f'{count}/{count} tensors, 0 unexpected; left out: ' in report
    assert 'network.encoder.pixel_std, criterion.empty_weight; encoder: taken' in report
    ours = model.state_dict()
    for mine, theirs in {
        'backbone.encoder.layers.3.attn.qkv.weight': 'encoder.backbone.blocks.3.attn.qkv.weight',
        'backbone.encoder.layers.1.ffn.gamma2.weight': 'encoder.backbone.blocks.1.ls2.gamma',
        'backbone.encoder.ln1.bias': 'encoder.backbone.norm.bias',
        'backbone.encoder.register_tokens': 'encoder.backbone.reg_token',
        'decode_head.q.weight': 'q.weight',
        'decode_head.attn_mask_probs': 'attn_mask_probs',
        'decode_head.upscale.1.conv2.weight': 'upscale.1.conv2.weight',
    }.items():
        assert torch.equal(ours[mine], state[f'network.{theirs}']), mine
    table = ours['backbone.encoder.pos_embed']  # the class token has no position there
    assert torch.equal(table[:, 1:], state['network.encoder.backbone.pos_embed'])
    assert not table[:, 0].any()


def test_moved_names_become_those_of_the_authors():
    state = moved_backbone(Draw())
    named = authors_names(state)
    qkv = [state[f'blocks.2.attention.{part}_proj.weight'] for part in 'qkv']
    assert torch.equal(named['blocks.2.attn.qkv.weight'], torch.cat(qkv))
    assert torch.equal(named['blocks.0.mlp.fc2.bias'], state['blocks.0.mlp.down_proj.bias'])
    assert torch.equal(named['blocks.0.ls1.gamma'], state['blocks.0.layer_scale1.lambda1'])
    assert torch.equal(named['storage_tokens'], state['patch_embed.register_tokens'])
    assert not named['blocks.1.attn.qkv.bias'][sizes.WIDTH : 2 * sizes.WIDTH].any()
    # two linears less, and two biases less of keys without one
    assert len(named) == len(state) - sizes.DEPTH * 3


def as_difference(state, backbone):
    """The file of a model that began from the tensors ``backbone``, buffers from their values."""
    first = {f'network.encoder.backbone.{name}': tensor for name, tensor in backbone.items()}
    first |= {f'network.{name}': x for name, x in sizes.pixels().items()}
    first['network.attn_mask_probs'] = torch.ones(2)
    return {name: x - first[name] if name in first else x for name, x in state.items()}


@pytest.mark.parametrize('difference', [False, True])
def test_files_of_dinov3_are_whole_or_differences(pretrained, difference):
    path, backbone = pretrained
    state, encoder = eomt_state(moved=True), {**DINOV3, 'checkpoint': path}
    whole, model = build(encoder), build(encoder)
    load(state, whole)
    report = load(as_difference(state, backbone) if difference else state, model)
    assert ('differences added to the loaded encoder (sha256:' in report) == difference
    ours, theirs = model.state_dict(), whole.state_dict()
    for name, tensor in ours.items():
        assert torch.allclose(tensor, theirs[name], atol=1e-6), name
    assert torch.equal(ours['decode_head.attn_mask_probs'], torch.zeros(2))
    assert (
        torch.equal(
            ours['backbone.encoder.model.norm.bias'], state['network.encoder.backbone.norm.bias']
        )
        or difference
    )


def test_differences_are_added_once_and_to_pretrained_weights_only(pretrained):
    path, backbone = pretrained
    state = as_difference(eomt_state(moved=True), backbone)
    model = build({**DINOV3, 'checkpoint': path})
    load(state, model)
    with pytest.raises(UserError, match='has been trained or loaded since it was built: build the'):
        load(state, model)
    with pytest.raises(UserError, match='has random weights: give the pretrained file in'):
        load(state, build({**DINOV3, 'init_seed': 0}))
    with pytest.raises(UserError, match="the method is Frozen: set .*type='Full'"):
        load(state, build({**DINOV3, 'checkpoint': path}, peft='Frozen'))


def test_a_frozen_encoder_must_be_the_one_in_the_file(tmp_path):
    state = eomt_state()
    place, path = 'network.encoder.backbone.', tmp_path / 'encoder.pth'
    torch.save({n.removeprefix(place): x for n, x in state.items() if n.startswith(place)}, path)
    fixed = {k: v for k, v in DINOV2.items() if k != 'init_seed'} | {'checkpoint': str(path)}
    report = load(state, build(fixed, peft='Frozen'))
    assert 'its 63 encoder tensors equal the loaded ones' in report
    with pytest.raises(UserError, match="the backbone in the file is not the config's 'DINOv2'"):
        load(state, build(peft='Frozen'))


def without(name):
    return lambda state: state.pop(name)


def replaced(name, value):
    return lambda state: state.update({name: value})


@pytest.mark.parametrize(
    ('change', 'options', 'message'),
    [
        (without('network.mask_head.2.bias'), {}, 'Missing: decode_head.mask_head.2.bias'),
        (without('network.encoder.backbone.norm.bias'), {}, 'Missing: backbone.encoder.ln1.bias'),
        (replaced('network.more', torch.ones(1)), {}, 'Unexpected: decode_head.more'),
        (replaced('teacher.more', torch.ones(1)), {}, 'Unexpected: teacher.more'),
        (replaced('network.encoder.pixel_std', torch.full((1, 3, 1, 1), 0.5)), {}, 'of std .0.5'),
        (replaced('network.encoder.pixel_std', torch.zeros(3)), {}, 'neither those of a whole'),
        (replaced('network.attn_mask_probs', torch.full((2,), -1.0)), {}, 'expected 0 to 1'),
        (replaced('network.class_head.weight', torch.ones(4, 32)), {}, 'num_classes=3, .* gives 5'),
        (None, dict(num_queries=9), 'num_queries=7, the config gives 9: set model.decode_head'),
        (None, dict(num_blocks=3), 'num_blocks=2, the config gives 3'),
        (None, dict(upscale_channels=16), 'has no linear in front of the upscale blocks'),
        (None, dict(peft='LoRA'), "a trained image encoder, .* is LoRA: set .*type='Full'"),
    ],
)
def test_a_file_that_does_not_fit_is_named(change, options, message):
    state = eomt_state()
    if change:
        change(state)
    model = build(**options)
    before = {name: x.clone() for name, x in model.state_dict().items()}
    with pytest.raises(UserError, match=message):
        load(state, model)
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())


def test_another_head_is_refused_in_words():
    model = build()
    model.decode_head = torch.nn.Identity()
    with pytest.raises(UserError, match='holds an EoMT head, the config has Identity: take a conf'):
        load(eomt_state(), model)
