"""DenseCLIP under official names, against its code: towers, decoder, score maps, whole segmentors.

What a case checks is read from its outputs.
"""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.checkpoint import load_strict
from rein_seg.checkpoint.load import load_checkpoint
from rein_seg.encoders.clip import CLIPViT
from rein_seg.models.dense_clip_file import from_dense_clip
from rein_seg.necks import ConvPyramid, PixelTextNeck
from rein_seg.necks.pixel_text import ContextDecoder
from rein_seg.necks.pixel_text.neck import score_map
from rein_seg.registry import key_map
from rein_seg.resize import resize_to
from rein_seg.text import SharedContext
from tests.golden.blocks import assert_outputs
from tests.golden.collect import assert_gradient, cases

VOCABULARY = 49408
TABLE = 'token_embedding.weight'


def below(tensors, *prefixes):
    """Tensors whose names start with a prefix, without it."""
    return {
        name.removeprefix(prefix): x
        for prefix in prefixes
        for name, x in tensors.items()
        if name.startswith(prefix)
    }


def inputs_of(golden):
    return {
        name: x.requires_grad_() if x.is_floating_point() else x
        for name, x in golden.tensors('input').items()
    }


def weights_of(golden):
    """The official tensors; a table of tokens is stored for a few ids, and zero elsewhere here."""
    weights = golden.tensors('weight')
    for name in [name for name in weights if name.endswith(TABLE)]:
        rows = weights[name]
        weights[name] = rows.new_zeros(VOCABULARY, rows.shape[1])
        weights[name][golden.tensor('input.vocabulary_ids')] = rows
    return weights


def backward(golden, own):
    """From the sum of cotangent * output, or from the loss."""
    cotangents = golden.tensors('cotangent')
    total = sum((own[name] * x).sum() for name, x in cotangents.items())
    (total if cotangents else own['loss'].sum()).backward()


def check_gradients(golden, named):
    """Compares with the sidecar; a gradient may have another axis of length 1."""
    for name, expected in golden.tensors('grad').items():
        assert_gradient(named[name].grad.reshape(expected.shape), expected, name)


def is_training(golden):
    return golden.meta['mode'].startswith('train')


def named_inputs(inputs):
    return {f'input.{name}': x for name, x in inputs.items()}


def check_decoder(golden, tmp_path):
    config, inputs = golden.meta['config'], inputs_of(golden)
    decoder = ContextDecoder(
        config['visual_dim'],
        config['transformer_width'],
        num_heads=config['transformer_heads'],
        num_layers=config['transformer_layers'],
    ).train(is_training(golden))
    load_strict(decoder, golden.tensors('weight'), what='decoder', source='golden')
    own = {'text_diff': decoder(inputs['text'], inputs['visual'])}
    assert_outputs(own, golden)
    backward(golden, own)
    check_gradients(golden, {**dict(decoder.named_parameters()), **named_inputs(inputs)})


def save_tower(weights, tmp_path):
    file = tmp_path / 'text.pth'
    torch.save(weights, file)
    return str(file)


def context(golden, weights, tmp_path, *, names, tokens, contexts, heads):
    """The text branch on the tower of the case."""
    tower = dict(checkpoint=save_tower(below(weights, 'text_encoder.') or weights, tmp_path))
    branch = SharedContext(
        names, num_context=contexts, token_length=tokens, tower={**tower, 'heads': heads}
    )
    return branch.train(is_training(golden))


def check_context(golden, tmp_path):
    config, weights = golden.meta['config'], weights_of(golden)
    sizes = dict(tokens=config['token_length'], contexts=config['contexts'])
    branch = context(
        golden, weights, tmp_path, names=config['names'], heads=config['heads'], **sizes
    )
    with torch.no_grad():
        branch.contexts.copy_(golden.tensor('input.contexts'))
    own = {'text': branch().expand(config['batch'], -1, -1)}
    assert_outputs(own, golden)
    backward(golden, own)
    check_gradients(golden, {'input.contexts': branch.contexts})


def check_score_map(golden, tmp_path):
    """From the embeddings of both towers to the map that the FPN reads."""
    config, inputs, weights = golden.meta['config'], inputs_of(golden), weights_of(golden)
    index, level = config['score_concat_index'], inputs['level'].detach()
    branch = context(golden, weights, tmp_path, heads=config['theads'], **words(config))
    neck = PixelTextNeck(
        [level.shape[1]] * (index + 1),
        [2**i for i in range(index + 1)],
        num_classes=len(config['names']),
        joint_dims=config['embed'],
        text_dims=branch.dims,
        level=index,
        **decoder_sizes(config),
    ).train(is_training(golden))
    own = {k.removeprefix('neck.'): x for k, x in from_dense_clip(weights).items()}
    branch.load_state_dict({'contexts': weights['contexts']})
    neck.load_state_dict(own, strict=False)
    assert {'gamma', 'context_decoder.out_proj.1.bias'} <= own.keys() & neck.state_dict().keys()
    text = neck.update(branch(), (inputs['global'], inputs['dense']))
    scores = score_map(inputs['dense'], text)
    joined = neck.join([level] * (index + 1), scores)[index]
    own = {'text_embeddings': text, 'score_map': scores, 'neck_input': joined}
    assert_outputs(own, golden)
    backward(golden, own)
    named = {**dict(neck.named_parameters()), 'contexts': branch.contexts, **named_inputs(inputs)}
    check_gradients(golden, named)


def words(config):
    return dict(names=config['names'], tokens=config['T'], contexts=config['ctx'])


def decoder_sizes(config):
    return dict(
        embed_dims=config['dwidth'], num_heads=config['dheads'], num_layers=config['dlayers']
    )


def vit(config, side, dims):
    width = config['width']
    return dict(
        arch=dict(
            embed_dims=width,
            num_layers=config['layers'],
            num_heads=config['heads'],
            feedforward_channels=width * config.get('mlp_ratio', 4),
        ),
        img_size=side,
        patch_size=config.get('patch', 16),
        out_indices=config.get('out_indices', config.get('taps')),
        joint_dims=dims,
        class_embedding_twice=config.get('class_embedding_twice', True),
    )


def check_visual(golden, tmp_path):
    config, inputs, weights = golden.meta['config'], inputs_of(golden), golden.tensors('weight')
    encoder = CLIPViT(**vit(config, config['input_resolution'], config['output_dim']))
    official = {f'backbone.{name}': x for name, x in weights.items()}
    load_strict(encoder, key_map(encoder)(encoder, official).tensors, what='ViT', source='golden')
    pyramid = ConvPyramid([config['width']] * 4, batch_norm=True)
    load_strict(pyramid, levels(weights), what='pyramid', source='golden')
    found = []
    encoder.joint.register_forward_hook(lambda module, args, output: found.extend(output))
    for module in (encoder, pyramid):
        module.train(is_training(golden))
    maps = pyramid(encoder(inputs['x']))
    own = {f'map{i}': x for i, x in enumerate(maps)} | dict(
        zip(('global', 'dense'), found, strict=True)
    )
    assert_outputs(own, golden)
    backward(golden, own)
    grads = golden.tensors('grad')
    assert_gradient(inputs['x'].grad, grads.pop('input.x'), 'x')
    swapped = {f'backbone.{name}': x for name, x in {**weights, **grads}.items()}
    expected = key_map(encoder)(encoder, swapped).tensors
    check_swapped(encoder, key_map(encoder)(encoder, official).tensors, expected)
    check_swapped(pyramid, levels(weights), levels({**weights, **grads}))


def levels(weights):
    official = {f'backbone.{k}': x for k, x in weights.items() if k.startswith('fpn')}
    return below(from_dense_clip(official), 'neck.pyramid.')


def check_swapped(module, weights, swapped):
    """Compares gradients with tensors that stand in the places of weights, wherever they do."""
    trained = {name: param for name, param in module.named_parameters() if param.requires_grad}
    found = {name for name in trained if not torch.equal(weights[name], swapped[name])}
    assert found
    for name in found:
        assert_gradient(trained[name].grad, swapped[name], name)


def check_positions(golden, tmp_path):
    """The key map resizes positions to the grid of ``img_size``."""
    config = golden.meta['config']
    sizes = dict(width=config['dim'], layers=1, heads=1, taps=[0], mlp_ratio=1)
    encoder = CLIPViT(**vit(sizes, 16 * config['new_side'], 8))
    stored = golden.tensor('input.positional_embedding')
    file = {**official_vit(encoder), config['key_in_file']: stored}
    converted = key_map(encoder)(encoder, file)
    assert_outputs({'positional_embedding': converted.tensors['pos_embed'][0]}, golden)


def official_vit(encoder):
    """A file of zeros for a ViT of one block."""
    width, dims = encoder.joint.proj.shape
    block = 'transformer.resblocks.0.'
    shapes = {
        'class_embedding': (width,),
        'conv1.weight': (width, 3, 16, 16),
        'ln_pre.weight': (width,),
        'ln_pre.bias': (width,),
        f'{block}attn.in_proj_weight': (3 * width, width),
        f'{block}attn.in_proj_bias': (3 * width,),
        f'{block}attn.out_proj.weight': (width, width),
        f'{block}attn.out_proj.bias': (width,),
        f'{block}mlp.c_fc.weight': (width, width),
        f'{block}mlp.c_fc.bias': (width,),
        f'{block}mlp.c_proj.weight': (width, width),
        f'{block}mlp.c_proj.bias': (width,),
        'ln_post.weight': (width,),
        'ln_post.bias': (width,),
        'proj': (width, dims),
    }
    norms = {f'{block}ln_{i}.{kind}': (width,) for i in (1, 2) for kind in ('weight', 'bias')}
    return {f'visual.{name}': torch.zeros(shape) for name, shape in {**shapes, **norms}.items()}


def encoder_config(config):
    if config['kind'] == 'vit':
        return dict(type='CLIPViT', **vit(config, config['res'], config['embed']))
    return dict(
        type='CLIPResNet',
        arch=dict(width=config['width'], depths=config['layers']),
        img_size=config['res'],
        joint_dims=config['embed'],
        pool_heads=32,  # in DenseCLIP's code whatever the width
    )


def build(golden, weights, tmp_path):
    """The segmentor of a case; its official file gives both towers, too."""
    config, file = golden.meta['config'], tmp_path / 'denseclip.pth'
    torch.save({'state_dict': weights}, file)
    factors = (4, 2, 1, 0.5) if config['kind'] == 'vit' else None
    encoder = dict(encoder_config(config), checkpoint=str(file))
    model = MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='Full')),
            text=dict(
                type='SharedContext',
                classes=config['names'],
                num_context=config['ctx'],
                token_length=config['T'],
                tower=dict(checkpoint=str(file), heads=config['theads']),
            ),
            neck=dict(
                type='PixelTextNeck',
                factors=factors,
                out_channels=config['fpn'],
                **decoder_sizes(config),
            ),
            decode_head=dict(
                type='FPNHead',
                feature_strides=[4, 8, 16, 32],
                channels=config['fpn'],
                norm_cfg=dict(type='BN'),
                dropout_ratio=0.0,
            ),
            auxiliary_head=dict(type='IdentityHead'),
            num_classes=len(config['names']),
            test_cfg=dict(mode='slide', crop_size=config['crop'], stride=config['stride']),
        )
    )
    load(model, weights)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model.train(is_training(golden))


def load(model, weights):
    report = load_checkpoint({'state_dict': weights}, model, source='denseclip.pth')
    assert '0 unexpected' in report


def check_segmentor(golden, tmp_path):
    config, inputs, weights = golden.meta['config'], inputs_of(golden), weights_of(golden)
    model = build(golden, weights, tmp_path)
    features = model.extract_feat(inputs['image'])
    losses = model.feature_losses(features, inputs['labels'].squeeze(1))
    names = {'decode_loss_ce': 'decode.loss_ce', 'aux_identity_loss_ce': 'aux_0.loss_ce'}
    own = {name: losses[key] for name, key in names.items()}
    own['loss'] = sum(own.values())
    own = {name: value.reshape(1) for name, value in own.items()}
    backward(golden, own)
    outputs = golden.tensors('output')
    with torch.no_grad():
        if 'logits' in outputs:
            own['logits'] = model.encode_decode(inputs['image'][:1])
        if 'slide_logits' in outputs:
            windows = model.slide_inference(inputs['big'])
            own['slide_logits'] = resize_to(windows, config['ori'])
            labels, best = golden.tensor('output_extra.slide_labels'), own['slide_logits'].argmax(1)
            assert (best == labels)[labels != 255].all()
    assert_outputs(own, golden)
    before = {name: param.detach().clone() for name, param in model.named_parameters()}
    load(model, {**weights, **golden.tensors('grad')})
    check_swapped(model, before, model.state_dict())


CHECKS = {
    'text_diff': check_decoder,
    'text': check_context,
    'score_map': check_score_map,
    'map0': check_visual,
    'positional_embedding': check_positions,
    'loss': check_segmentor,
}


@pytest.mark.parametrize('golden', cases('dense_clip', ''))
def test_dense_clip(golden, tmp_path):
    outputs = golden.tensors('output')
    check = next(check for name, check in CHECKS.items() if name in outputs)
    check(golden, tmp_path)
