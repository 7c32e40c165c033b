"""SAM's image encoder with official names, loaded as users load it, against the official one."""

import pytest
import torch

from rein_seg.encoders import build_encoder
from rein_seg.encoders.info import DEFAULT_MEAN, DEFAULT_STD
from tests.golden.collect import assert_near, cases


def sam(config, weights, path, **options):
    """Our encoder from an official config, its weights from a file in the official layout."""
    width = config['embed_dim']
    arch = dict(
        embed_dims=width,
        num_layers=config['depth'],
        num_heads=config['num_heads'],
        feedforward_channels=int(width * config['mlp_ratio']),
        global_attn_indexes=config['global_attn_indexes'],
    )
    state = {f'image_encoder.{name}': tensor for name, tensor in weights.items()}
    torch.save({**state, 'prompt_encoder.no_mask_embed.weight': torch.ones(1)}, path / 'sam.pth')
    cfg = dict(
        type='SAMViT',
        arch=arch,
        img_size=[side * config['patch_size'] for side in config['grid']],
        patch_size=config['patch_size'],
        window_size=config['window_size'],
        out_indices=list(range(config['depth'])),
        checkpoint=str(path / 'sam.pth'),
    )
    return build_encoder({**cfg, **options})


def normalised(golden):
    image = golden.tensors('input')
    if 'image' in image:
        return image['image']
    preprocess = golden.meta['config']['preprocess']
    for key, ours in (('pixel_mean', DEFAULT_MEAN), ('pixel_std', DEFAULT_STD)):
        assert preprocess[key] == pytest.approx(ours)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (DEFAULT_MEAN, DEFAULT_STD))
    return (image['image_uint8'].float() - mean) / std


@pytest.mark.parametrize('golden', cases('sam', 'sam_image_encoder'))
def test_encoder_equals_the_official_one(golden, tmp_path):
    config, weights = golden.meta['config'], golden.tensors('weight')
    encoder, info = sam(config, weights, tmp_path)
    assert (info.mean, info.std) == (DEFAULT_MEAN, DEFAULT_STD)
    neck, _ = sam(config, weights, tmp_path, neck=True, neck_channels=config['out_chans'])
    image, found = normalised(golden), {}
    with torch.no_grad():
        tokens, grid = encoder.patch_embed(image)
        # officially the patches alone, before their positions
        found['patch_embed'] = tokens.unflatten(1, grid)
        for index, feature in enumerate(encoder(image)):
            found[f'block{index}'] = feature.permute(0, 2, 3, 1)
            found[f'block{index}_channel_mean'] = feature.mean(dim=1)
        *_, found['image_embedding'] = neck(image)
    outputs = golden.tensors('output')
    assert len(outputs) > config['depth']
    for name, expected in outputs.items():
        assert_near(found[name], expected, name)
