"""Encoders of the golden models of mask decoders, as configs of ours with files."""

import re

from safetensors.torch import save_file

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# the official code moves the modules of transformers' DINOv3: back to the names of its files
_MOVED = (
    (r'^patch_embed\.(?=cls_token|register_tokens|patch_embeddings)', 'embeddings.'),
    (r'^blocks\.(\d+)\.', r'layer.\1.'),
)


def grid_of(config):
    """Returns the patches (H, W) of an image."""
    height, width = config['image']
    return height // config['patch'], width // config['patch']


def normalised(image):
    """Returns a (B, 3, H, W) image in [0, 1] as the encoder takes it."""
    mean, std = (image.new_tensor(x)[:, None, None] for x in (MEAN, STD))
    return (image - mean) / std


def encoder_config(config, weights, folder, **options):
    """Returns the config of a `TimmEncoder` of an official model, with final norm.

    Args:
        config: Of the sidecar.
        weights: Tensors of the model; the encoder's are below ``encoder.backbone.``.
        folder: For the file.
        **options: Of the encoder, such as ``out_indices``.
    """
    prefix = 'encoder.backbone.'
    state = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    dinov3 = config['encoder'] == 'dinov3'
    for pattern, name in _MOVED if dinov3 else ():
        state = {re.sub(pattern, name, key): value for key, value in state.items()}
    file = folder / 'encoder.safetensors'
    save_file({k: v.contiguous() for k, v in state.items()}, file)
    args = dict(
        embed_dim=config['dim'],
        depth=config['depth'],
        num_heads=config['heads'],
        mlp_ratio=config['mlp_dim'] / config['dim'],
    )
    if dinov3:
        args |= dict(num_reg_tokens=config['registers'])
    else:
        args |= dict(reg_tokens=config['registers'], no_embed_class=config['no_embed_class'])
        args |= dict(init_values=1.0) if config['layer_scale'] else {}
    return dict(
        type='TimmEncoder',
        model='vit_small_patch16_dinov3_qkvb' if dinov3 else 'vit_small_patch16_224',
        patch_size=config['patch'],
        img_size=config['image'],
        final_norm=True,
        model_args=args,
        checkpoint=str(file),
        **options,
    )
