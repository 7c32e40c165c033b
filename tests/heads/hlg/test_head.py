"""HLG's head: padding, windows of padding only, sizes, resizing, wrong arguments."""

import pytest
import torch
import torch.nn.functional as F

from rein_seg.errors import UserError
from rein_seg.heads import HLGHead
from rein_seg.heads.hlg.layer import HLGHeadLayer
from rein_seg.structures import Features
from tests.encoders.hlg.slow_layer import bias_of, weigh


def head(**options):
    torch.manual_seed(0)
    options = {'channels': 32, 'num_classes': 3, **options}
    return HLGHead([8, 16], in_index=[0, 1], **options).eval()


def maps(height=12, width=20):
    torch.manual_seed(1)
    return Features((torch.randn(2, 8, height, width), torch.randn(2, 16, height // 2, width // 2)))


def test_parameters_on_the_maps_of_the_small_encoder():
    built = HLGHead([96, 192, 384, 768], in_index=range(4), num_classes=19)
    assert f'{sum(p.numel() for p in built.parameters()) / 1e6:.2f}' == '13.52'


def slow(layer, y, size, interval):
    """The attention of a dilated layer, a pixel and a window at a time; (H W, C) tokens."""
    heads, attn = 2, layer.attn
    pixel = lambda place: place[0] * size[1] + place[1]  # noqa: E731
    members = [-(-side // interval) for side in size]
    windows = [
        {
            (i, j): (a + interval * i, b + interval * j)
            for i in range(members[0])
            for j in range(members[1])
            if a + interval * i < size[0] and b + interval * j < size[1]
        }
        for a in range(interval)
        for b in range(interval)
    ]
    normed = layer.norm0(y)
    q, (k, v) = attn.q(normed), attn.kv(normed).chunk(2, dim=-1)
    local = torch.zeros_like(y)
    for window in windows:
        tokens = [pixel(place) for place in window.values()]
        for query, place in window.items():
            biases = [bias_of(attn.pos, query[0] - m[0], query[1] - m[1]) for m in window]
            local[pixel(place)] = weigh(q[pixel(place)], k[tokens], v[tokens], biases, heads)
    z = y + attn.proj(local)
    middle = [interval * (m - 1) / 2 for m in members]
    corners = [(a, b) for a in range(interval) for b in range(interval)]
    kept = [(w, c) for w, c in zip(windows, corners, strict=True) if w]
    means = torch.stack([z[[pixel(p) for p in w.values()]].mean(0) for w, _ in kept])
    q, (k, v) = attn.q(layer.norm1(z)), attn.kv(attn.norm(means)).chunk(2, dim=-1)
    mixed = []
    for token in range(len(y)):
        down, across = divmod(token, size[1])
        biases = [
            bias_of(attn.pos, down - a - middle[0], across - b - middle[1]) for _, (a, b) in kept
        ]
        mixed.append(weigh(q[token], k, v, biases, heads))
    x = z + attn.proj(torch.stack(mixed))
    return x + layer.mlp['fc2'](F.gelu(layer.mlp['fc1'](layer.norm2(x))))


@pytest.mark.parametrize('size', [(6, 9), (2, 5), (8, 4)])
@torch.no_grad()
def test_a_spread_layer_sees_members_on_the_map_alone(size):
    """Tokens of windows of padding only are left out: 4 windows along 2 rows."""
    torch.manual_seed(0)
    layer = HLGHeadLayer(32, 2, dilated=True, interval=4)
    for param in layer.parameters():
        param.add_(0.2 * torch.randn(param.shape))
    layer = layer.double().eval()
    x = torch.randn(1, 32, *size, dtype=torch.double)
    smoothed = F.gelu(x + layer.spatial_smooth[0](x))[0].flatten(1).t()
    expected = slow(layer, smoothed, size, 4).t().unflatten(1, size)[None]
    torch.testing.assert_close(layer(x), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize('behaviour', ['intent', 'official'])
@pytest.mark.parametrize('size', [(12, 20), (8, 10), (16, 16)])
def test_predictions_have_the_size_of_the_image(behaviour, size):
    built, features = head(behaviour=behaviour), maps(*size)
    image = (4 * size[0], 4 * size[1])
    with torch.no_grad():
        logits, predicted = built(features), built.predict(features, image)
    assert logits.shape == (2, 3, *size)
    expected = F.interpolate(logits, size=image, mode='bilinear', align_corners=False)
    torch.testing.assert_close(predicted, expected)


def test_official_needs_a_row_and_a_column_for_each_window():
    small = maps(4, 6)
    assert head()(small).shape == (2, 3, 4, 6)
    expected = r'8 x 8 windows, too many for a map of \(4, 6\).*at least \(8, 8\).*interval'
    with pytest.raises(UserError, match=expected):
        head(behaviour='official')(small)


def test_maps_are_resized_to_the_finest_and_joined():
    built, seen, features = head(), [], maps()
    built.conv_0.register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    with torch.no_grad():
        built(features)
    coarse = F.interpolate(features.maps[1], size=(12, 20), mode='bilinear', align_corners=False)
    torch.testing.assert_close(seen[0], torch.cat((features.maps[0], coarse), dim=1))


def test_behaviours_differ():
    a, b = (head(behaviour=behaviour) for behaviour in ('intent', 'official'))
    b.load_state_dict(a.state_dict())
    with torch.no_grad():
        assert not torch.allclose(a(maps()), b(maps()))


def test_layers_and_their_options():
    built = head(depth=3, num_heads=4, interval=5, window_size=3, drop_path_rate=0.2)
    assert [layer.dilated for layer in built.decode_transformer] == [False, True, False]
    assert {layer.interval for layer in built.decode_transformer} == {5}
    assert {layer.attn.within.num_heads for layer in built.decode_transformer} == {4}
    assert {layer.drop_path.drop_prob for layer in built.decode_transformer} == {0.2}
    assert built(maps()).shape == (2, 3, 12, 20)
    assert built.dropout.p == 0.1


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(channels=40), 'HLGHead channels=40, num_heads=None: expected a width'),
        (dict(channels=64, num_heads=3), 'HLGHead channels=64, num_heads=3'),
        (dict(channels=0), 'HLGHead channels=0: expected a whole number, 1 or more'),
        (dict(interval=0), 'HLGHead interval=0'),
        (dict(window_size=7.5), 'HLGHead window_size=7.5'),
        (dict(depth=-1), 'HLGHead depth=-1'),
        (dict(num_heads=0), 'HLGHead num_heads=0'),
        (dict(behaviour='paper'), "HLGHead behaviour='paper': expected intent or official"),
    ],
)
def test_wrong_arguments(options, words):
    with pytest.raises(UserError, match=words):
        head(**options)
