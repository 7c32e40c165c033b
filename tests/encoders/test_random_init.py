"""Random weights: exact by seed, positions that tell places, filters that tell textures."""

import pytest
import torch

from rein_seg.encoders import build_encoder
from rein_seg.encoders.random_init import patch_filters, sine_positions
from rein_seg.errors import UserError
from tests.encoders.tiny import ENCODERS


def test_random_weights_follow_the_seed_alone():
    torch.manual_seed(1)
    a, info = build_encoder(ENCODERS['vit'])
    torch.manual_seed(2)
    b, _ = build_encoder(ENCODERS['vit'])
    c, _ = build_encoder({**ENCODERS['vit'], 'init_seed': 1})
    for x, y in zip(a.parameters(), b.parameters(), strict=True):
        assert torch.equal(x, y)
    conv = 'patch_embed.projection'
    assert not torch.equal(a.get_submodule(conv).weight, c.get_submodule(conv).weight)
    assert info.name == 'mmpretrain.VisionTransformer'
    assert info.identity['weights'] == 'random:seed=0'
    assert info.identity['config']['arch'] == ENCODERS['vit']['arch']
    assert build_encoder({**ENCODERS['vit'], 'name': 'x'})[1].identity == info.identity


SAM_TINY = dict(
    type='SAMViT',
    arch=dict(
        embed_dims=32,
        num_layers=2,
        num_heads=2,
        feedforward_channels=64,
        global_attn_indexes=[1],
    ),
    img_size=64,
    patch_size=8,
    window_size=3,
    init_seed=0,
)


def test_filters_answer_to_all_frequencies_alike():
    weight = patch_filters(256, 8, generator=torch.Generator().manual_seed(0))
    assert weight.shape == (256, 3, 8, 8)
    # pictures whose amplitude falls with the square of the frequency, grey
    place = torch.arange(8) + 0.5
    answers = []
    for wave in (0, 1, 3, 7):
        picture = torch.cos(torch.pi * place * wave / 8)
        picture = 8 * picture / picture.norm() / 8**0.5 / (1 + wave**2)
        answers.append((weight.sum(1) * picture).sum((1, 2)).std())  # constant along y
    assert max(answers) < 1.4 * min(answers)
    assert 0.1 < min(answers) < 3


def test_filters_change_the_patch_embedding_and_fc1_alone():
    plain, info = build_encoder(SAM_TINY)
    other, filtered = build_encoder({**SAM_TINY, 'init_filters': True})
    again, _ = build_encoder({**SAM_TINY, 'init_filters': True})
    changed = []
    for (name, a), b, c in zip(
        plain.named_parameters(), other.parameters(), again.parameters(), strict=True
    ):
        assert torch.equal(b, c)
        if not torch.equal(a, b):
            changed.append(name)
    assert changed == [
        'patch_embed.projection.weight',
        'layers.0.ffn.layers.0.0.weight',
        'layers.1.ffn.layers.0.0.weight',
    ]
    assert info.identity['weights'] == 'random:seed=0'
    assert filtered.identity['weights'] == 'random:seed=0,filters'
    assert info.identity['config'] == filtered.identity['config']


def test_filters_tell_textures_of_one_colour_apart():
    """The energy of fine waves is in the features, linearly; without filters hardly."""
    generator = torch.Generator().manual_seed(0)
    smooth = torch.randn(200, 3, 1, 1, generator=generator).expand(-1, -1, 64, 64)
    checks = torch.randn(200, 1, 64, 64, generator=generator)
    images = torch.cat((smooth + 0.05 * checks, smooth + 0.15 * checks))
    labels = torch.arange(400) >= 200
    scores = []
    for filters in (False, True):
        encoder, _ = build_encoder({**SAM_TINY, 'init_filters': filters})
        with torch.no_grad():
            x = encoder(images)[-1][:, :, 2, 2]
        x = (x - x.mean(0)) / x.std(0)
        train, test = slice(0, None, 2), slice(1, None, 2)
        gram = x[train].T @ x[train] + 0.1 * len(x) * torch.eye(x.shape[1])
        weight = torch.linalg.solve(gram, x[train].T @ (labels[train].float() - 0.5))
        scores.append(((x[test] @ weight > 0) == labels[test]).float().mean().item())
    assert scores[1] > 0.65 and scores[1] > scores[0] + 0.1


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(init_seed=None, checkpoint='x.pth'), 'init_filters=True has an effect with init_s'),
        (dict(type='mmpretrain.ResNet', depth=18), 'init_filters=True is for vision transformers'),
    ],
)
def test_filters_where_they_have_no_place(cfg, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'x.pth').touch()
    base = {} if 'type' in cfg else SAM_TINY
    with pytest.raises(UserError, match=message):
        build_encoder({**base, 'init_seed': 0, **cfg, 'init_filters': True})


def test_sine_positions_tell_row_and_column():
    table = sine_positions((3, 5), 8).reshape(3, 5, 8)
    assert torch.equal(table[1, 0, :4], table[1, 4, :4])  # the row's half
    assert torch.equal(table[0, 2, 4:], table[2, 2, 4:])  # the column's half
    assert table[2, 3, 0] == torch.sin(torch.tensor(2.0))
    assert len({tuple(p.tolist()) for p in table.reshape(-1, 8)}) == 15
    with pytest.raises(UserError, match='divisible by 4'):
        sine_positions((3, 5), 6)
