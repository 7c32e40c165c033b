"""Tensors of files: types, sizes, values; and what is never written."""

import pytest
import torch
from torch import nn

from rein_seg.checkpoint import (
    load_strict,
    read_checkpoint,
    read_state_dict,
    save_adapter,
    save_checkpoint,
)
from rein_seg.encoders import build_encoder
from rein_seg.errors import NotFinite, UserError
from tests.encoders.tiny import ENCODERS

NAN, INF = float('nan'), float('inf')


def with_value(tensor, value, dtype=None):
    tensor = tensor.clone() if dtype is None else tensor.to(dtype)
    tensor.view(-1)[1] = value
    return tensor


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda t: t.to(torch.complex64), "'w.a' is of type complex64, expected dense"),
        (lambda t: t.to_sparse(), "'w.a' is sparse"),
        (lambda t: t.to('meta'), "'w.a' is without values"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "'w.a' is .*quantized"),
        (lambda t: t[:1].expand(1 << 36), 'would take 274877906944 bytes'),
    ],
)
@pytest.mark.filterwarnings('ignore:.*TypedStorage', 'ignore:torch.quantize')
def test_tensors_that_no_model_has(tmp_path, make, message):
    torch.save(dict(w=dict(a=make(torch.ones(8)))), tmp_path / 'a.pth')
    with pytest.raises(UserError, match=rf"a\.pth'.*{message}"):
        read_checkpoint(tmp_path / 'a.pth')


def test_tied_weights_are_read(tmp_path):
    one = torch.ones(1000)
    torch.save({f'w{i}': one for i in range(8)}, tmp_path / 'a.pth')
    assert len(read_state_dict(tmp_path / 'a.pth')) == 8


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda w: with_value(w, NAN), 'NaN or infinite values in: weight. Expected'),
        (lambda w: with_value(w, -INF), 'NaN or infinite values in: weight. Expected'),
        (lambda w: with_value(w, 1e300, torch.float64), 'NaN or infinite values in: weight'),
        (lambda w: with_value(w, NAN, torch.bfloat16), 'NaN or infinite values in: weight'),
        (lambda w: w.long(), 'Wrong type: weight is int64, expected float32'),
        (lambda w: w > 0, 'Wrong type: weight is bool, expected float32'),
        (lambda w: w.new_empty(0, 1 << 40), r'Wrong shape: weight is \(0, 1099511627776\)'),
    ],
)
def test_strict_loading_names_the_tensor_and_loads_nothing(change, message):
    layer = nn.Linear(3, 2)
    before = layer.weight.clone()
    state = {**layer.state_dict(), 'weight': change(layer.weight.detach() + 1)}
    with pytest.raises(UserError, match=f'weights from x.pth: ./2 tensors, 0 .* {message}'):
        load_strict(layer, state, what='weights', source='x.pth')
    assert layer.weight.equal(before)


def test_other_floating_point_types_are_loaded():
    layer = nn.Linear(3, 2)
    state = {name: torch.ones_like(t).half() for name, t in layer.state_dict().items()}
    load_strict(layer, state, what='weights', source='x.pth')
    assert layer.weight.dtype == torch.float32
    large = {name: torch.full_like(t, 3e38) for name, t in layer.state_dict().items()}
    load_strict(layer, large, what='weights', source='x.pth')  # their sum overflows
    assert layer.weight.max() == 3e38


def test_names_in_messages_are_short_and_printable():
    names = {'a\nb': torch.ones(1), 'n' * 10_000: torch.ones(1)}
    with pytest.raises(UserError) as error:
        load_strict(nn.Linear(1, 1), names, what='weights', source='x.pth')
    assert r'a\nb' in str(error.value)
    assert '\n' not in str(error.value)
    assert len(str(error.value)) < 600


@pytest.mark.parametrize('family', ['vit_tiny', 'sam', 'swin', 'dinov2', 'eva02', 'convnext'])
def test_encoder_files_with_odd_shapes_end_in_one_line(tmp_path, family):
    """Key maps read tensors by name and shape: each tensor in turn is wrong."""
    cfg = ENCODERS[family]
    state = build_encoder(cfg)[0].state_dict()
    given = {key: value for key, value in cfg.items() if key != 'init_seed'}
    given['checkpoint'] = str(tmp_path / 'w.pth')
    names = sorted(state)
    first = {name.rpartition('.')[2]: name for name in reversed(names)}
    for name in sorted({*first.values(), *names[:4]}):
        for wrong in (torch.tensor(1.0), state[name].flatten()[:1], torch.ones(2, 2, 2, 2, 2)):
            torch.save({**state, name: wrong}, tmp_path / 'w.pth')
            with pytest.raises(UserError, match=r'encoder .* from .*w\.pth'):
                build_encoder(given)


def test_the_file_s_own_name_of_a_bad_tensor_is_said(tmp_path):
    cfg = ENCODERS['vit_tiny']
    state = {f'backbone.{k}': t for k, t in build_encoder(cfg)[0].state_dict().items()}
    name = 'backbone.layers.0.attn.qkv.weight'
    torch.save({**state, name: with_value(state[name], NAN)}, tmp_path / 'w.pth')
    given = {key: value for key, value in cfg.items() if key != 'init_seed'}
    with pytest.raises(UserError, match=rf'w\.pth.*NaN or infinite values in: {name}'):
        build_encoder({**given, 'checkpoint': str(tmp_path / 'w.pth')})


def test_nothing_that_is_not_finite_is_written(tmp_path):
    layer = nn.Linear(2, 2)
    with torch.no_grad():
        layer.bias[1] = NAN
    with pytest.raises(NotFinite, match=r"a\.safetensors' is not written: tensor 'bias' holds NaN"):
        save_adapter(tmp_path / 'a.safetensors', layer, {})
    with pytest.raises(NotFinite, match="is not written: 'scores' of its metadata holds NaN"):
        save_adapter(tmp_path / 'a.safetensors', nn.Linear(2, 2), dict(scores=dict(mIoU=NAN)))
    content = dict(optimizer=dict(state={0: dict(exp_avg=torch.tensor([1.0, INF]))}))
    with pytest.raises(NotFinite, match=r"a\.pth' is not written: tensor 'optimizer.state.0.exp_"):
        save_checkpoint(tmp_path / 'a.pth', content)
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_not_utf_8_or_breaks_the_line(tmp_path):
    for name in ('b\udcff.pth', 'b\nc.pth'):
        torch.save({'a': torch.ones(1)}, tmp_path / 'x.pth')
        (tmp_path / 'x.pth').rename(tmp_path / name)
        with pytest.raises(UserError, match='its path is not UTF-8, or holds control characters'):
            read_checkpoint(tmp_path / name)
