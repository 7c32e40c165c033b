"""ConvLoRA in the encoder of SAM against the official one: blocks, neck and balance loss."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.peft.methods.conv_lora import from_official
from tests.golden.collect import assert_near, cases

ENCODERS = cases('conv_lora', 'sam_vision_encoder_conv_lora')


def build(config, weights, folder, **options):
    """Our encoder with ConvLoRA; the encoder's file has Hugging Face's names, as officially."""
    width = config['embed_dim']
    file = folder / 'sam.pth'
    frozen = {f'vision_encoder.{k}': v for k, v in weights.items() if '.lora_' not in k}
    torch.save(frozen, file)
    backbone = MODELS.build(
        dict(
            type='PEFTBackbone',
            encoder=dict(
                type='SAMViT',
                arch=dict(
                    embed_dims=width,
                    num_layers=config['depth'],
                    num_heads=config['num_heads'],
                    feedforward_channels=int(width * config['mlp_ratio']),
                    global_attn_indexes=config['global_attn_indexes'],
                ),
                img_size=config['img_size'],
                patch_size=config['patch_size'],
                window_size=config['window_size'],
                checkpoint=str(file),
                **options,
            ),
            peft=dict(
                type='ConvLoRA',
                rank=config['r'],
                alpha=config['lora_alpha'],
                num_experts=config['num_experts'],
                top_k=config['top_k'],
            ),
        )
    )
    for index, layer in enumerate(backbone.peft.layers.values()):
        prefix = f'layers.{index}.attn.qkv.'
        official = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        layer.load_state_dict(from_official(official), strict=True)
    return backbone.eval()


@pytest.mark.parametrize('golden', ENCODERS)
@torch.no_grad()
def test_adapted_encoder_equals_the_official_one(golden, tmp_path):
    config, weights = golden.meta['config'], golden.tensors('weight')
    image, outputs = golden.tensors('input')['image'], golden.tensors('output')
    every = build(config, weights, tmp_path, out_indices=list(range(config['depth'])))
    for index, x in enumerate(every(image).maps):
        name = f'hidden{index + 1}'
        assert_near(x.permute(0, 2, 3, 1), outputs[name], name)
    loss = every.peft.aux_losses()['loss_balance']
    assert_near(loss, outputs['moe_loss'].reshape(()), 'moe_loss')
    last = dict(out_indices=[config['depth'] - 1], neck=True, neck_channels=config['out_chans'])
    embedding = build(config, weights, tmp_path, **last)(image).maps[0]
    assert_near(embedding, outputs['image_embedding'], 'image_embedding')
