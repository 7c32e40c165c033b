"""Official checkpoints of DenseCLIP: renamed to the last tensor, checked in words."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.checkpoint.load import load_checkpoint
from rein_seg.errors import UserError
from rein_seg.models.dense_clip_file import is_dense_clip

WORDS = ['road', 'sky', 'car']
ENCODER = dict(
    type='CLIPViT',
    arch=dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32),
    img_size=32,
    patch_size=8,
    out_indices=[0, 1, 2, 3],
    joint_dims=8,
    init_seed=0,
)
TEXT = dict(
    type='SharedContext',
    classes=WORDS,
    num_context=2,
    tower=dict(init_seed=0, width=16, layers=1, heads=2, words=WORDS),
)
NECK = dict(
    type='PixelTextNeck',
    factors=(4, 2, 1, 0.5),
    out_channels=8,
    embed_dims=8,
    num_heads=2,
    num_layers=1,
)
FPN = dict(type='FPNHead', feature_strides=[4, 8, 16, 32], channels=8, norm_cfg=dict(type='BN'))
# ours -> officially; a level of the pyramid that is a norm alone has one index less
OFFICIAL = (
    ('backbone.encoder.', 'backbone.'),
    ('neck.pyramid.levels.2.0.', 'backbone.fpn3.'),
    *((f'neck.pyramid.levels.{i}.', f'backbone.fpn{i + 1}.') for i in range(4)),
    ('neck.fpn.', 'neck.'),
    ('neck.context_decoder.', 'context_decoder.'),
    ('neck.gamma', 'gamma'),
    ('text.contexts', 'contexts'),
)


def build(seed=0, method='Full', **options):
    torch.manual_seed(seed)
    cfg = dict(
        type='PEFTSegmentor',
        backbone=dict(type='PEFTBackbone', encoder=ENCODER, peft=dict(type=method)),
        text=TEXT,
        neck=NECK,
        decode_head=FPN,
        auxiliary_head=dict(type='IdentityHead'),
        num_classes=len(options.get('text', TEXT)['classes']),
    )
    return MODELS.build({**cfg, **options}).eval()


def renamed(name):
    for ours, theirs in OFFICIAL:
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name


def official(model):
    """The state dict that the official code would write: fewer positions of the tower, too."""
    state = {renamed(name): tensor for name, tensor in model.state_dict().items()}
    tower = {f'text_encoder.{k}': v for k, v in model.text.tower.state_dict().items()}
    tower['text_encoder.positional_embedding'] = tower['text_encoder.positional_embedding'][:7]
    return {**state, **tower}


def load(state, model):
    return load_checkpoint({'state_dict': state}, model, source='denseclip.pth')


def test_every_tensor_of_a_file_is_loaded():
    trained, model, image = build(seed=1), build(), torch.randn(1, 3, 32, 48)
    state = official(trained)
    assert is_dense_clip(state)
    assert {'contexts', 'gamma', 'backbone.fpn3.weight', 'backbone.fpn1.4.bias'} <= state.keys()
    assert {'neck.lateral_convs.2.conv.weight', 'context_decoder.decoder.0.norm2.bias'} <= set(
        state
    )
    state['identity_head.loss'] = torch.zeros(1)
    count = len(model.state_dict())
    report = load(state, model)
    assert report.startswith(f'official DenseCLIP checkpoint from denseclip.pth: {count}/{count} ')
    assert 'not used by this config: identity_head.loss; its 17 tensors of the text tower' in report
    with torch.no_grad():
        assert torch.equal(model.encode_decode(image), trained.encode_decode(image))


def without(prefix):
    def change(state):
        for name in [name for name in state if name.startswith(prefix)]:
            del state[name]

    return change


def shifted(name):
    return lambda state: state.update({name: state[name] + 1})


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (without('neck.'), r'155/171 tensors, 0 unexpected. Missing: neck.fpn.lateral_convs.0'),
        (
            without('backbone.fpn'),
            'holds the model of a ResNet, .* full_dense_clip_resnet50_ade20k',
        ),
        (
            without('text_encoder.ln_final'),
            'which differs in ln_final.bias, ln_final.weight: give the CLIP',
        ),
        (
            shifted('text_encoder.text_projection'),
            r"not the config's \(sha256:\w+\), which differs in text_projection: ",
        ),
        (without('backbone.cls_token'), "the backbone in the file is not the config's|Missing: b"),
        (lambda state: state.update(more=torch.ones(1)), 'Unexpected: more'),
    ],
)
def test_a_file_that_does_not_fit_is_named(change, message):
    model = build()
    state = official(build(seed=1))
    change(state)
    before = {name: x.clone() for name, x in model.state_dict().items()}
    with pytest.raises(UserError, match=message):
        load(state, model)
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            dict(method='LoRA'),
            "holds a trained image encoder, the config's method is LoRA: .*'Full'",
        ),
        (
            dict(text=dict(TEXT, classes=WORDS[:2])),
            'made for 3 classes, the config has num_cla.*=2',
        ),
        (
            dict(text=dict(type='ClassTable', classes=WORDS, dims=8)),
            'needs a model with SharedContext and PixelTextNeck, the config has ClassTable',
        ),
        (dict(text=dict(TEXT, num_context=3)), r'text.contexts is \(1, 2, 16\), expected \(1, 3'),
    ],
)
def test_a_model_that_does_not_fit_is_named(options, message):
    with pytest.raises(UserError, match=message):
        load(official(build()), build(**options))
