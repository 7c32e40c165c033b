"""SAM's mask decoder and the promptless models of Conv-LoRA, loaded as users load them."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from rein_seg.checkpoint import load_strict
from rein_seg.heads.sam.decoder import MaskDecoder, fourier_positions
from rein_seg.heads.sam.weights import convert_decoder
from rein_seg.peft.methods.conv_lora import from_official
from tests.golden.collect import assert_near, cases

DECODERS = cases('sam', 'sam_mask_decoder')
MODELS_WHOLE = cases('conv_lora', 'sam_conv_lora')


@pytest.mark.parametrize('golden', DECODERS)
@torch.no_grad()
def test_decoder_equals_the_official_one(golden):
    config, outputs = golden.meta['config'], golden.tensors('output')
    decoder = MaskDecoder(
        config['transformer_dim'],
        config['num_multimask_outputs'] + 1,
        shared_hypernetwork=False,
        depth=config['depth'],
        num_heads=config['num_heads'],
        hidden=config['mlp_dim'],
        downsample=config['attention_downsample_rate'],
        norm_eps=config['transformer_layer_norm_eps'],
        iou_hidden=config['iou_head_hidden_dim'],
        iou_outputs=config['num_multimask_outputs'] + 1,
    )
    converted = convert_decoder(decoder, golden.tensors('weight'))
    load_strict(decoder, converted.tensors, what='decoder', source=str(golden.path))
    decoded = decoder.eval()(golden.tensors('input')['image_embeddings'])
    places = fourier_positions(decoder.positional_encoding, config['grid'])
    found = {
        'dense_pe': places.t().unflatten(1, config['grid'])[None],
        'no_prompt_dense_embedding': decoder.no_mask_embed[..., None, None].expand(
            -1, -1, *config['grid']
        ),
        'tokens': decoded.tokens,
        'image_tokens': decoded.image,
        'upscaled_embedding': decoded.upscaled,
        'mask_logits_all': decoded.masks,
        'iou_all': decoder.iou_prediction_head(decoded.tokens[:, 0]),
        'mask_logits_all_upsampled': F.interpolate(
            decoded.masks,
            size=outputs['mask_logits_all_upsampled'].shape[-2:],
            mode='bilinear',
            align_corners=False,
        ),
    }
    assert set(found) == set(outputs)
    for name, value in found.items():
        assert_near(value, outputs[name], name)


def whole(config, weights, folder):
    """A segmentor from an official config; encoder and head read one Hugging Face file."""
    file = folder / 'sam.pth'
    torch.save({k: v for k, v in weights.items() if '.lora_' not in k}, file)
    iou = weights['model.mask_decoder.iou_prediction_head.proj_out.weight']  # not in the sidecar
    width, several = config['embed_dim'], config['num_classes'] > 1
    model = MODELS.build(
        dict(
            type='PEFTSegmentor',
            num_classes=config['num_classes'] if several else 2,
            backbone=dict(
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
                    out_indices=[config['depth'] - 1],
                    neck=True,
                    neck_channels=config['out_chans'],
                    checkpoint=str(file),
                ),
                peft=dict(
                    type='ConvLoRA',
                    rank=config['r'],
                    alpha=config['lora_alpha'],
                    num_experts=config['num_experts'],
                    top_k=config['top_k'],
                ),
            ),
            decode_head=dict(
                type='SAMHead',
                num_tokens=config['num_mask_tokens'],
                decoder=dict(
                    num_heads=config['dec_heads'],
                    hidden=config['dec_mlp_dim'],
                    norm_eps=config['decoder_layer_norm_eps'],
                    iou_hidden=iou.shape[1],
                    iou_outputs=iou.shape[0],
                ),
            ),
        )
    )
    for index, layer in enumerate(model.backbone.peft.layers.values()):
        prefix = f'model.vision_encoder.layers.{index}.attn.qkv.'
        official = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        layer.load_state_dict(from_official(official), strict=True)
    return model.eval()


def near(actual, expected, name):
    """The tolerance that the vectors' README suggests for whole models."""
    torch.testing.assert_close(actual, expected, atol=5e-4, rtol=1e-4, msg=lambda m: f'{name}: {m}')


@pytest.mark.parametrize('golden', MODELS_WHOLE)
@torch.no_grad()
def test_promptless_model_equals_the_official_one(golden, tmp_path):
    config, outputs = golden.meta['config'], golden.tensors('output')
    model = whole(config, golden.tensors('weight'), tmp_path)
    image = golden.tensors('input')['image']
    head = model.decode_head
    features = model.extract_feat(image)
    near(features.maps[0], outputs['image_embedding'], 'image_embedding')
    near(model.backbone.peft.aux_losses()['loss_balance'], outputs['moe_loss'][0], 'moe_loss')
    decoded = head(features)
    near(decoded.masks, outputs['low_res_masks'], 'low_res_masks')
    logits = head.predict(features, tuple(image.shape[-2:]))
    if config['num_classes'] == 1:
        near(logits, outputs['mask_logits'], 'mask_logits')
        near(logits.sigmoid(), outputs['probability'], 'probability')
    else:
        near(head.classify(decoded), outputs['class_logits'], 'class_logits')
        near(logits, outputs['semantic_scores'], 'semantic_scores')
