"""Files into timm's networks of stages: the same maps as timm's own loading, sizes, refusals."""

import time

import pytest
import timm
import torch
from safetensors.torch import save
from timm.layers import resample_abs_pos_embed

from rein_seg.checkpoint import tensors_sha256
from rein_seg.encoders import build_encoder, convert_weights, to_file_layout
from rein_seg.encoders.timm.sizes import create_sized
from rein_seg.encoders.timm.stages_names import stage_names
from rein_seg.errors import UserError
from tests.download.server import Answer
from tests.encoders.files import from_file, load, renamed

SWIN = dict(embed_dim=16, depths=(2, 2), num_heads=(1, 2))
HIERA = dict(embed_dim=16, stages=(1, 1, 1, 1))
# timm's name, img_size of models that have one, arguments: each wrapper, each kind of positions
NAMED = {
    'efficientnet': ('tf_efficientnet_lite0', None, {}),
    'mobilenet': ('mobilenetv4_conv_small_050', None, {}),
    'resnet': ('test_resnet', None, {}),
    'convnext': ('test_convnext', None, {}),
    'convnextv2': ('test_convnext2', None, {}),
    'regnet': ('regnetx_002', None, {}),
    'hook': ('xception41', None, {}),
    'swin': ('swin_tiny_patch4_window7_224', 64, SWIN),
    'swinv2': ('swinv2_tiny_window8_256', 64, SWIN),
    'pvt': ('pvt_v2_b0', None, {}),
    'maxvit': ('test_maxvit', 64, {}),
    'hiera': ('hiera_tiny_224', 64, HIERA),
    'hiera_abswin': ('hiera_small_abswin_256', 64, HIERA),
    'sam2': ('sam2_hiera_tiny', None, dict(embed_dim=16, stages=(1, 1, 1, 1))),
}


def config(name, side=None, **args):
    return dict(type='TimmStages', model=name, img_size=side, model_args=args, init_seed=0)


def randomised(name, side, args):
    """A whole model of timm with trained-looking values, batch statistics included."""
    model = create_sized(name, side, args).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                drawn = torch.randn(value.shape, generator=generator) * 0.1
                value.copy_(drawn.abs() + 0.5 if key.endswith('running_var') else drawn)
    return model


def loaded_by_timm(name, side, args, state):
    """timm's network of stages, with a file of its whole model, as timm loads published weights."""
    sizes = {} if side is None else dict(img_size=side)
    overlay = dict(state_dict=dict(state), custom_load=False)
    more = dict(features_only=True, pretrained=True, pretrained_cfg_overlay=overlay)
    return timm.create_model(name, **args, **sizes, **more).eval()


def assert_same_maps(encoder, reference, size=(64, 64)):
    with torch.no_grad():
        image = torch.randn(2, 3, *size)
        ours, theirs = encoder(image), reference(image)[-len(encoder.out_indices) :]
    for x, y in zip(ours, theirs, strict=True):
        turned = y.permute(0, 3, 1, 2) if encoder.channels_last else y
        assert torch.equal(x, turned)


QUICK = ('resnet', 'efficientnet', 'convnext', 'swin', 'pvt', 'hiera')
LONG = [pytest.param(key, marks=pytest.mark.whole_matrix) for key in NAMED if key not in QUICK]


@pytest.mark.parametrize('key', [*QUICK, *LONG])
def test_timm_own_file_gives_the_maps_of_timm(key, tmp_path):
    name, side, args = NAMED[key]
    state = randomised(name, side, args).state_dict()
    encoder = load(config(name, side, **args), state, tmp_path)
    assert_same_maps(encoder, loaded_by_timm(name, side, args, state))
    again = load(config(name, side, **args), encoder.state_dict(), tmp_path)
    for own, value in encoder.state_dict().items():
        assert torch.equal(again.state_dict()[own], value), own


@pytest.mark.parametrize(
    ('key', 'file_side', 'side', 'more', 'resized'),
    [
        ('swin', 56, 128, dict(window_size=8), {'relative_position_bias_table 169x1 -> 225x1'}),
        ('maxvit', 64, 96, {}, {'relative_position_bias_table 9x1 -> 25x1'}),
        ('swinv2', 64, 128, dict(window_size=4), set()),  # positions are computed for each window
        ('hiera_abswin', 64, 128, {}, set()),  # resized in each forward pass
    ],
)
def test_a_file_of_another_size_is_resized_as_timm_does(
    key, file_side, side, more, resized, tmp_path
):
    name, _, args = NAMED[key]
    state = randomised(name, file_side, args).state_dict()
    args = {**args, **more}
    encoder = load(config(name, side, **args), state, tmp_path)
    notes = convert_weights(encoder, dict(state)).resampled
    assert {note.rpartition('.')[2] for note in notes} >= resized
    assert bool(notes) == bool(resized)
    assert_same_maps(encoder, loaded_by_timm(name, side, args, state), size=(side, side))


def test_positions_that_timm_leaves_are_resized_by_its_rule(tmp_path):
    name, _, args = NAMED['hiera']
    state = randomised(name, 64, args).state_dict()
    encoder = load(config(name, (96, 128), **args), state, tmp_path)
    table = resample_abs_pos_embed(state['pos_embed'], [24, 32], num_prefix_tokens=0)
    assert torch.equal(encoder.state_dict()['model.model.pos_embed'], table)
    done = convert_weights(encoder, dict(state))
    assert done.resampled == ('pos_embed 1x256x16 -> 1x768x16',)
    with pytest.raises(RuntimeError, match='size mismatch for pos_embed'):
        loaded_by_timm(name, (96, 128), args, state)


def test_positions_of_a_square_are_not_taken_for_a_long_grid_of_as_many(tmp_path):
    name, _, args = NAMED['hiera']
    model = randomised(name, 64, args)
    encoder = load(config(name, (32, 128), **args), model.state_dict(), tmp_path)
    table = encoder.state_dict()['model.model.pos_embed']
    square = model.state_dict()['pos_embed']
    assert table.shape == square.shape and not torch.equal(table, square)
    again = load(config(name, (32, 128), **args), encoder.state_dict(), tmp_path)
    assert torch.equal(again.state_dict()['model.model.pos_embed'], table)


@pytest.mark.parametrize('prefix', ['module.', 'backbone.', 'module.encoder.'])
@pytest.mark.parametrize('wrapper', ['state_dict', 'model', 'model_ema'])
def test_wrappers_and_prefixes_are_taken_off(prefix, wrapper, tmp_path):
    state = randomised('test_resnet', None, {}).state_dict()
    named = {prefix + key: value for key, value in state.items()}
    torch.save({wrapper: named, 'epoch': 3}, tmp_path / 'w.pth')
    encoder, _ = from_file(config('test_resnet'), tmp_path / 'w.pth')
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, state[key.removeprefix('model.')]), key


def test_tensors_that_the_stages_leave_out_are_listed():
    encoder, _ = build_encoder(config('tf_efficientnet_lite0'))
    state = timm.create_model('tf_efficientnet_lite0').state_dict()
    done = convert_weights(encoder, state)
    assert set(done.left_out) == {
        *('classifier.weight', 'classifier.bias', 'conv_head.weight'),
        *(f'bn2.{key}' for key in ('weight', 'bias', 'running_mean', 'running_var')),
        'bn2.num_batches_tracked',
    }
    assert done.tensors.keys() == encoder.state_dict().keys()
    first, _ = build_encoder({**config('resnet18'), 'out_indices': [0, 2]})
    left_out = convert_weights(first, timm.create_model('resnet18').state_dict()).left_out
    assert {key.partition('.')[0] for key in left_out} == {'layer3', 'layer4', 'fc'}


def test_official_names_are_read_by_timm(tmp_path):
    """PVTv2's authors number patch embeddings and stages otherwise."""
    state = randomised('pvt_v2_b0', None, {}).state_dict()
    rules = (
        (r'^patch_embed\.', 'patch_embed1.'),
        (r'^stages\.(\d)\.downsample\.', lambda m: f'patch_embed{int(m[1]) + 1}.'),
        (r'^stages\.(\d)\.blocks\.', lambda m: f'block{int(m[1]) + 1}.'),
        (r'^stages\.(\d)\.norm\.', lambda m: f'norm{int(m[1]) + 1}.'),
        (r'dwconv\.', 'dwconv.dwconv.'),
    )
    encoder = load(config('pvt_v2_b0'), renamed(state, rules), tmp_path)
    assert_same_maps(encoder, loaded_by_timm('pvt_v2_b0', None, {}, state))


@pytest.mark.parametrize(
    ('asked', 'given', 'args', 'message'),
    [
        (
            'resnet18',
            'resnet34',
            {},
            "fits timm model 'resnet34', not 'resnet18': set encoder.model",
        ),
        ('convnext_atto', 'convnext_femto', {}, "fits timm model 'convnext_femto'"),
        ('tf_efficientnet_lite0', 'tf_efficientnet_lite1', {}, "model 'tf_efficientnet_lite1'"),
        ('pvt_v2_b0', 'pvt_v2_b1', {}, "fits timm model 'pvt_v2_b1'"),
        (
            'convnext_atto',
            'convnext_atto',
            dict(depths=(1, 1, 1, 1)),
            'encoder.model_args=.*changes',
        ),
    ],
)
def test_a_file_of_another_architecture_is_named(asked, given, args, message):
    encoder, _ = build_encoder(config(asked, **args))
    state = timm.create_model(given).state_dict()
    begun = time.thread_time()
    with pytest.raises(UserError, match=message):
        convert_weights(encoder, state)
    assert time.thread_time() - begun < 2


def test_a_file_of_no_known_model_is_listed_by_strict_loading(tmp_path):
    state = timm.create_model('test_resnet').state_dict()
    with pytest.raises(UserError, match='tensors, .* unexpected. Missing: model.'):
        load(config('pvt_v2_b0'), state, tmp_path)


def test_tables_without_a_rule_name_the_size_of_the_file():
    encoder, _ = build_encoder(config('levit_128s', 256))
    state = timm.create_model('levit_128s').state_dict()
    with pytest.raises(UserError) as caught:
        convert_weights(encoder, state)
    assert 'no rule to resize model.stages.0.blocks.0.attn.attention_biases' in str(caught.value)
    assert str(caught.value).endswith('set encoder.img_size=[224, 224]')


@pytest.mark.parametrize('key', NAMED)
def test_names_are_the_names_of_the_same_tensors(key):
    """Each tensor of the network is the very tensor of the model that timm took apart."""
    name, side, args = NAMED[key]
    with torch.device('meta'):
        network = create_sized(name, side, args, features_only=True)
        if type(network).__name__.endswith('Features'):  # its own names
            assert set(network.state_dict()) <= set(create_sized(name, side, args).state_dict())
            return
        places: dict[int, str] = {}

        class Noting(type(network)):
            def __init__(self, model, **cfg):
                named = [*model.named_parameters(), *model.named_buffers()]
                places.update({id(value): key for key, value in named})
                self.__dict__['held'] = named  # a freed tensor's id could be another's
                super().__init__(model, **cfg)

        taken = create_sized(name, side, args, features_only=True, feature_cls=Noting)
    truth = {places[id(value)]: key for key, value in taken.state_dict(keep_vars=True).items()}
    with torch.device('meta'):
        whole = create_sized(name, side, args)
    assert stage_names(network, whole) == truth


def test_published_weights_are_fetched_and_loaded(server):
    model = randomised('test_resnet', None, {})
    path = '/timm/test_resnet.r160_in1k/resolve/main/model.safetensors'
    server.answers[path] = Answer(save(model.state_dict()))
    encoder, info = build_encoder(
        dict(type='TimmStages', model='test_resnet.r160_in1k', pretrained=True)
    )
    assert [asked for asked, _ in server.asked] == [path]
    assert info.weights == f'sha256:{tensors_sha256(model.state_dict())}'
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, model.state_dict()[key.removeprefix('model.')]), key


@pytest.mark.parametrize(('key', 'resized'), [('resnet', 0), ('swin', 2)])
def test_changed_weights_go_back_into_the_layout_of_timm(key, resized):
    name, side, args = NAMED[key]
    state = {f'module.{k}': v for k, v in randomised(name, side, args).state_dict().items()}
    other = {**args, **(dict(window_size=8) if key == 'swin' else {})}
    encoder, _ = build_encoder(config(name, side and 128, **other))
    encoder.load_state_dict(convert_weights(encoder, dict(state)).tensors)
    assert to_file_layout(encoder, state).changed == ()
    with torch.no_grad():
        for param in encoder.parameters():
            param.mul_(1.5)
    made = to_file_layout(encoder, state)
    assert made.tensors.keys() == state.keys()
    assert len(made.resized) == 2 * resized  # tables of two blocks, in each of two stages
    back = convert_weights(encoder, dict(made.tensors)).tensors
    for own, value in encoder.state_dict().items():
        assert torch.equal(back[own], value), own
