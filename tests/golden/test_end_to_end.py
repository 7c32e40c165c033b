"""The whole system against the official one: files in as downloaded, logits out."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from rein_seg.apis.test import load_weights
from tests.golden.collect import assert_near, cases

E2E = cases('rein', lambda m: m.get('kind') == 'e2e')


def official_files(golden, folder):
    """Writes the backbone and the adapter-only checkpoint as the official code leaves them."""
    weights = golden.tensors('weight')
    adapter_names = golden.meta['adapter_only_state_dict']
    backbone = {
        name.removeprefix('backbone.'): tensor
        for name, tensor in weights.items()
        if name.startswith('backbone.') and name not in adapter_names
    }
    adapter = {name: weights[name] for name in adapter_names}
    torch.save(backbone, folder / 'backbone.pth')
    torch.save(dict(meta=dict(iter=40000), state_dict=adapter), folder / 'rein_and_head.pth')
    return folder / 'backbone.pth', folder / 'rein_and_head.pth'


def build(golden, checkpoint):
    config = golden.meta['config']
    encoder, head, rein = config['backbone'], config['head'], config['backbone']['reins_config']
    return MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(
                type='PEFTBackbone',
                encoder=dict(
                    type='DINOv2',
                    arch=dict(
                        embed_dims=encoder['embed_dim'],
                        num_layers=encoder['depth'],
                        num_heads=encoder['num_heads'],
                        feedforward_channels=int(encoder['embed_dim'] * encoder['mlp_ratio']),
                        ffn_type='origin' if encoder['ffn_layer'] == 'mlp' else 'swiglu_fused',
                    ),
                    img_size=encoder['img_size'],
                    patch_size=encoder['patch_size'],
                    out_indices=encoder['out_indices'],
                    checkpoint=str(checkpoint),
                ),
                peft=dict(
                    type='Rein',
                    num_tokens=rein['token_length'],
                    rank=rein.get('lora_dim', 0),
                    query_dims=rein['query_dims'],
                    init_patch_size=rein['patch_size'],
                ),
            ),
            decode_head=dict(
                type='Mask2FormerHead',
                feat_channels=head['feat'],
                num_queries=head['queries'],
                num_heads=head['heads'],
                encoder_layers=head['enc_layers'],
                decoder_layers=head['dec_layers'],
                encoder_hidden=head['enc_ffn'],
                decoder_hidden=head['dec_ffn'],
                num_points=head['points'],
                norm_groups=head['groups'],
            ),
            num_classes=head['classes'],
            crop_size=config['crop'],
            test_cfg=dict(
                mode='slide', crop_size=config['crop'], stride=config['stride'], keep_logits=True
            ),
        )
    )


@pytest.mark.parametrize('golden', E2E)
@torch.no_grad()
def test_image_to_logits_equals_the_official_system(golden, tmp_path):
    backbone, adapter = official_files(golden, tmp_path)
    model = build(golden, backbone)
    names = len(golden.meta['adapter_only_state_dict'])
    assert f'{names}/{names} tensors' in load_weights(model, str(adapter))
    model.eval()
    outputs = golden.tensors('output')
    image = golden.tensors('input')['img']  # (H, W, 3) BGR
    height, width = image.shape[:2]
    sample = SegDataSample(
        metainfo=dict(ori_shape=(height, width), img_shape=(height, width)),
        gt_sem_seg=PixelData(data=torch.zeros(1, height, width, dtype=torch.long)),
    )
    data = model.data_preprocessor(dict(inputs=[image.permute(2, 0, 1)], data_samples=[sample]))
    assert_near(data['inputs'], outputs['preprocessed'].view_as(data['inputs']), 'preprocessed')
    rows, columns = golden.meta['config']['crop']
    window = model.encode_decode(data['inputs'][..., :rows, :columns], [{}])
    expected = outputs['window.logits'].view_as(window)
    assert_near(window, expected, 'window.logits')
    result = model.predict(data['inputs'], data['data_samples'])[0]
    logits, label = result.seg_logits.data, result.pred_sem_seg.data[0]
    expected = outputs['slide.logits'].view_as(logits)
    assert_near(logits, expected, 'slide.logits')
    best = expected.topk(2, dim=0).values
    clear = best[0] - best[1] > 1e-3
    assert torch.equal(label[clear], outputs['slide.label'].view_as(label)[clear].to(label))


def test_a_case_is_here():
    assert E2E
