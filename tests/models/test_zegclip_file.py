"""Official checkpoints of ZegCLIP: loaded to the last tensor that is used, checked in words."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.checkpoint import load_checkpoint
from rein_seg.errors import UserError
from rein_seg.models.zegclip_file import is_zegclip
from tests.models.zegclip_official import official_state

SIZES = dict(width=16, layers=3, joint=8, grid=4, patch=8, tokens=4)
TEXT = dict(width=16, layers=1, vocabulary=49408, length=77)
CLASSES = ['road', 'sky', 'car']
VPT = dict(type='VPT', num_tokens=4, project_dims=16, post_norm=True)
SETTING = dict(setting='transductive', unseen_label=254)


@pytest.fixture(scope='module')
def state():
    return official_state(**SIZES, text=TEXT, classes=len(CLASSES))


@pytest.fixture
def build(state, tmp_path):
    torch.save({'state_dict': state}, tmp_path / 'zegclip.pth')

    def build(peft=VPT, head=None, **encoder):
        arch = dict(embed_dims=16, num_layers=3, num_heads=2, feedforward_channels=64)
        cfg = dict(
            type='CLIPViT',
            arch=arch,
            img_size=32,
            patch_size=8,
            joint_dims=8,
            checkpoint=str(tmp_path / 'zegclip.pth'),
        )
        return MODELS.build(
            dict(
                type='PEFTSegmentor',
                backbone=dict(type='PEFTBackbone', encoder={**cfg, **encoder}, peft=peft),
                text=dict(type='ClassTable', classes=CLASSES, unseen=['sky']),
                decode_head=dict(type='ATMHead', num_heads=2, **(head or {})),
                num_classes=3,
            )
        ).eval()

    return build


def load(state, model):
    return load_checkpoint({'state_dict': state}, model, source='zegclip.pth')


def test_every_used_tensor_is_loaded_and_the_rest_is_named(state, build):
    model = build()
    report = load(state, model)
    assert 'official ZegCLIP checkpoint from zegclip.pth: 43/43 tensors, 0 unexpected' in report
    for name in (
        'decode_head.loss_decode.criterion.empty_weight',
        'decode_head.decoder_1.layers.0.self_attn.in_proj_weight',
        'decode_head.decoder_1.layers.2.multihead_attn.v.weight',
        'text_encoder (17 tensors)',
    ):
        assert name in report
    assert 'its 44 encoder tensors equal the loaded ones' in report
    prompts = torch.cat(
        [state['backbone.prompt_embeddings'], state['backbone.deep_prompt_embeddings']]
    )
    method, layer = model.backbone.peft, model.decode_head.decoder_1.layers[0]
    assert torch.equal(method.prompts[0], prompts)
    assert torch.equal(method.projections[0].weight, state['backbone.prompt_proj.weight'])
    assert torch.equal(method.norm.weight, state['backbone.prompt_norm.weight'])
    key = 'decode_head.decoder_1.layers.0.multihead_attn.v.weight'
    assert torch.equal(layer.multihead_attn.v.weight, state[key])
    # the same file served as CLIP: its text tower made the table
    assert model.text.source.startswith('sha256:')


def test_the_official_layout_takes_all_of_the_head(state, build):
    model, plain = build(head=dict(official_layout=True)), build()
    report = load(state, model)
    left_out = report.partition('left out')[2]
    assert 'decode_head.loss_decode.criterion.empty_weight' in left_out
    assert 'self_attn' not in left_out
    load(state, plain)
    image = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        torch.testing.assert_close(model.encode_decode(image), plain.encode_decode(image))


def test_a_checkpoint_of_ours_is_none_of_theirs(build):
    model = build()
    assert not is_zegclip(model.state_dict())
    assert '43/43' in load_checkpoint({'state_dict': model.state_dict()}, model, source='own.pth')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(peft=dict(type='Frozen')), 'the config has Frozen and ATMHead: take a config of'),
        (dict(peft={**VPT, 'num_tokens': 10}), r'num_tokens=4, the config gives 10: .*COCO-Stuff'),
        (dict(peft={**VPT, 'blocks': 'first 2'}), 'prompts in 3 blocks, the config in 2'),
        (dict(peft={**VPT, 'project_dims': None}), r'a linear .*peft.project_dims=16'),
        (dict(peft={**VPT, 'post_norm': False}), r'a norm .*peft.post_norm=True'),
        (dict(head=dict(num_layers=2)), 'decoder_1.layers.2'),
        (dict(class_embedding_twice=True, checkpoint=None, init_seed=3), 'backbone in the file is'),
    ],
)
def test_models_of_another_kind_are_refused(state, build, options, message):
    with pytest.raises(UserError, match=message):
        load(state, build(**options))


def test_a_damaged_file_is_refused(state, build):
    short = {k: v for k, v in state.items() if k != 'decode_head.q_proj.weight'}
    with pytest.raises(UserError, match='Missing: decode_head.q_proj.weight'):
        load(short, build())
    with pytest.raises(UserError, match='Unexpected: surprise'):
        load({**state, 'surprise': torch.zeros(1)}, build())
    odd = {**state, 'backbone.prompt_embeddings': torch.zeros(3)}
    with pytest.raises(UserError, match=r'official ZegCLIP checkpoint .*zegclip.pth'):
        load(odd, build())
