"""A tiny generator with a tiny critic, and their optimizers."""

from mmseg.registry import MODELS

TINY = dict(
    type='TinyViT',
    arch=dict(embed_dims=8, num_layers=2, num_heads=2, feedforward_channels=16),
    img_size=(32, 64),
    init_seed=0,
)
OPTIM = dict(
    optimizer=dict(type='AdamW', lr=1e-2),
    critic=dict(optimizer=dict(type='AdamW', lr=1e-2, betas=(0.5, 0.9))),
)


def build(**options):
    cfg = dict(
        type='AdversarialSegmentor',
        backbone=dict(type='PEFTBackbone', encoder=TINY, peft=dict(type='Full')),
        decode_head=dict(type='LinearHead', dropout_ratio=0.0),
        num_classes=4,
        critic=dict(type='Critic', encoder=TINY),
    )
    return MODELS.build({**cfg, **options}).train()
