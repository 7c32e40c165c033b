"""CLIP's image towers under official names, against OpenAI's and DenseCLIP's code."""

import pytest
import torch
import torch.nn.functional as F

from rein_seg.encoders import build_encoder, convert_weights
from rein_seg.encoders.clip import encoder_of_file
from rein_seg.encoders.clip.attention_pool import AttentionPool
from rein_seg.models.backbone import PEFTBackbone
from tests.encoders.files import from_file
from tests.golden.blocks import assert_outputs
from tests.golden.collect import assert_gradient, cases


def resnet(config, **options):
    return dict(
        type='CLIPResNet',
        arch=dict(width=config['width'], depths=config['layers']),
        img_size=config['input_resolution'],
        joint_dims=config['output_dim'],
        pool_heads=config['heads'],
        **options,
    )


def check_gradients(golden, own, named):
    """Compares gradients of sum(output * cotangent); ``named``: official name -> our tensor."""
    cotangents, grads = golden.tensors('cotangent'), golden.tensors('grad')
    sum((own[name] * x).sum() for name, x in cotangents.items()).backward()
    assert grads and grads.keys() <= named.keys()
    for name, expected in grads.items():
        assert_gradient(named[name].grad, expected, name)


@pytest.mark.parametrize('golden', cases('clip_resnet', ''))
def test_resnet(golden, tmp_path):
    torch.save(golden.tensors('weight'), tmp_path / 'w.pt')
    cfg = resnet(golden.meta['config'], checkpoint=str(tmp_path / 'w.pt'))
    backbone = PEFTBackbone(cfg, dict(type='Full')).train(golden.meta['mode'].startswith('train'))
    image = golden.tensor('input.x').requires_grad_()
    features = backbone(image)
    own = {f'stage{i}': x for i, x in enumerate(features.maps)}
    own |= {'global': features.joint[0], 'dense': features.joint[1], 'image': features.joint[0]}
    own |= {f'after.{name}': x for name, x in backbone.encoder.state_dict().items()}
    assert_outputs(own, golden)
    params = backbone.encoder.named_parameters()
    named = {name.replace('joint.', 'attnpool.'): param for name, param in params}
    check_gradients(golden, own, {**named, 'input.x': image})


@pytest.mark.parametrize('golden', cases('clip_resnet', 'attention_pool'))
def test_attention_pool(golden):
    config, x = golden.meta['config'], golden.tensor('input.x').requires_grad_()
    side = config['spacial_dim']
    sizes = dict(dims=config['output_dim'], num_heads=config['heads'], grid=(side, side))
    pool = AttentionPool(config['embed_dim'], **sizes)
    pool.load_state_dict(golden.tensors('weight'))
    own = dict(zip(('global', 'dense'), pool(x), strict=True))
    assert_outputs(own, golden)
    check_gradients(golden, own, {**dict(pool.named_parameters()), 'input.x': x})


@pytest.mark.parametrize('golden', cases('clip_resnet', 'positions_convert'))
def test_positions_of_another_size(golden):
    """A tiny tower's file, with the positions of the case in their stored type."""
    config = golden.meta['config']
    sizes = dict(width=2, layers=[1, 1, 1, 1], heads=1, output_dim=8)
    sizes |= dict(input_resolution=32 * config['new_side'])
    encoder, _ = build_encoder(resnet(sizes, init_seed=0))
    state = encoder.state_dict().items()
    file = {f'visual.{name.replace("joint.", "attnpool.")}': x for name, x in state}
    file[config['key_in_file']] = golden.tensor('input.positional_embedding')
    found = convert_weights(encoder, file).tensors['joint.positional_embedding']
    assert_outputs({'positional_embedding': found}, golden)


def with_images():
    found = cases('clip_text', '')
    return [case for case in found if 'input.image' in case.values[0].meta['tensors']]


@pytest.mark.parametrize('golden', with_images())
def test_the_image_tower_of_a_whole_file(golden, tmp_path):
    """Sizes and heads come from the file, as in OpenAI's code."""
    weights = golden.tensors('weight')
    torch.save(weights, tmp_path / 'w.pt')
    encoder, _ = from_file(encoder_of_file(weights), tmp_path / 'w.pt')
    assert all(param.dtype is torch.float32 for param in encoder.parameters())
    kept = []
    encoder.joint.register_forward_hook(lambda module, args, out: kept.append(out[0]))
    with torch.no_grad():
        encoder(golden.tensor('input.image'))
    text = F.normalize(golden.tensor('output.text'), dim=-1)
    logits = weights['logit_scale'].exp() * F.normalize(kept[0], dim=-1) @ text.T
    tolerance = golden.meta['tolerance']['output_max_abs']
    for name, own in (('image', kept[0]), ('logits_per_image', logits)):
        assert (own - golden.tensor(f'output.{name}')).abs().max() <= tolerance[name], name
