"""DuAT: blocks, decoder, whole model, loss, colour exchange and scores against its code."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from rein_seg.checkpoint import load_strict
from rein_seg.datasets.transforms.lab_exchange import exchange
from rein_seg.encoders.weights import leave_out
from rein_seg.evaluation import BinarySegMetric
from rein_seg.evaluation.binary_scores import image_scores
from rein_seg.heads import DuATHead, StructureLoss
from rein_seg.heads.duat import GLSA, SBA, convert_duat
from rein_seg.heads.duat.weights import NEVER_USED
from rein_seg.models.batch_norm import guard_batch_norms
from rein_seg.structures import Features
from tests.golden.collect import assert_gradient, cases

LOSSES = {'official': 'mean', 'intended': 'weighted'}


def near(golden, actual, name, key=None):
    """Compares with an output, by the tolerance of the sidecar."""
    key = key or f'output.{name}'
    tolerance = golden.meta['tolerance']['output_max_abs']
    limit = tolerance.get(name, max(tolerance.values()))
    error = (actual.double() - golden.tensor(key).double()).abs().max()
    assert error <= limit, f'{key}: {error} > {limit}'


def loaded(module, weights, mode):
    load_strict(module, weights, what='module', source='golden')
    guard_batch_norms(module)
    return module.train(mode == 'train')


def check_gradients(golden, outputs, parameters, inputs):
    """Gradients of sum(cotangent * output); a parameter may be left out for size or as zero."""
    gradients = golden.tensors('grad')
    if not gradients:
        return
    total = sum((golden.tensor(f'cotangent.{name}') * out).sum() for name, out in outputs.items())
    wanted = {**parameters, **{f'input.{name}': x for name, x in inputs.items()}}
    wanted = {name: wanted[name] for name in gradients}
    found = torch.autograd.grad(total, list(wanted.values()))
    for name, gradient in zip(wanted, found, strict=True):
        assert_gradient(gradient, gradients[name], name)


def with_gradients(golden):
    return {name: x.requires_grad_() for name, x in golden.tensors('input').items()}


@pytest.mark.parametrize('golden', cases('duat', 'glsa'))
def test_glsa(golden):
    config, inputs = golden.meta['config'], with_gradients(golden)
    weights, unused = leave_out(golden.tensors('weight'), NEVER_USED)
    assert unused
    block = GLSA(config['input_dim'], config['embed_dim'])
    block = loaded(block, weights, golden.meta['mode'])
    y = block(inputs['x'])
    near(golden, y, 'y')
    check_gradients(golden, {'y': y}, dict(block.named_parameters()), inputs)
    state = block.state_dict()
    for name in golden.tensors('output_extra'):
        if name in state:
            near(golden, state[name], name, f'output_extra.{name}')
    if 'output_extra.local' in golden.meta['tensors']:
        first, second = inputs['x'].chunk(2, 1)
        near(golden, block.local(block.local_11conv(first)), 'local', 'output_extra.local')
        context = block.GlobelBlock(block.global_11conv(second))
        near(golden, context, 'global', 'output_extra.global')


@pytest.mark.parametrize('golden', cases('duat', 'sba'))
def test_sba(golden):
    inputs, weights = with_gradients(golden), golden.tensors('weight')
    block = loaded(SBA(golden.meta['config']['input_dim']), weights, golden.meta['mode'])
    y = block(inputs['high'], inputs['low'])
    near(golden, y, 'y')
    check_gradients(golden, {'y': y}, dict(block.named_parameters()), inputs)


def decoder(golden, dims):
    head = DuATHead(dims, num_classes=2, channels=golden.meta['config']['dim'])
    converted = convert_duat(golden.tensors('weight'))
    return loaded(head, converted.tensors, golden.meta['mode'])


def official_size(predicted):
    """The official decoder enlarges its predictions by fixed factors."""
    p1, p2 = (
        F.interpolate(p, scale_factor=factor, mode='bilinear', align_corners=False)
        for p, factor in zip(predicted, (8, 4), strict=True)
    )
    return {'p1': p1, 'p2': p2}


@pytest.mark.parametrize('golden', cases('duat', 'head'))
def test_head(golden):
    inputs = with_gradients(golden)
    head = decoder(golden, golden.meta['config']['dims'])
    features = Features(maps=tuple(inputs[f'map{i}'] for i in range(4)))
    outputs = official_size(head(features))
    for name, value in outputs.items():
        near(golden, value, name)
    check_gradients(golden, outputs, dict(head.named_parameters()), inputs)
    if 'output_extra.logits' in golden.meta['tensors']:
        size = tuple(outputs['p2'].shape[-2:])
        near(golden, head.predict(features, size), 'logits', 'output_extra.logits')


@pytest.mark.parametrize('golden', cases('duat', 'model'))
def test_model(golden, tmp_path):
    """Encoder and decoder of a segmentor read one official file."""
    config, file = golden.meta['config'], tmp_path / 'duat.pth'
    torch.save(golden.tensors('weight'), file)
    names = ('embed_dims', 'num_heads', 'mlp_ratios', 'depths', 'sr_ratios')
    arch = {'version': 'v2', **{name: config[name] for name in names}}
    encoder = dict(type='PVT', arch=arch, checkpoint=str(file))
    model = MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='Full')),
            decode_head=dict(type='DuATHead', channels=config['dim'], checkpoint=str(file)),
            num_classes=2,
        )
    ).train(golden.meta['mode'] == 'train')
    inputs = with_gradients(golden)
    features = model.extract_feat(inputs['image'])
    outputs = official_size(model.decode_head(features))
    for name, value in outputs.items():
        near(golden, value, name)
    for i, value in enumerate(features.maps):
        near(golden, value, f'map{i}', f'output_extra.map{i}')
    size = tuple(inputs['image'].shape[-2:])
    near(golden, model.encode_decode(inputs['image']), 'logits', 'output_extra.logits')
    assert size == tuple(outputs['p1'].shape[-2:])
    named = dict(model.decode_head.named_parameters())
    named |= {f'backbone.{n}': p for n, p in model.backbone.encoder.named_parameters()}
    check_gradients(golden, outputs, named, inputs)


@pytest.mark.parametrize('golden', cases('duat', 'structure_loss'))
def test_structure_loss(golden):
    inputs, config = golden.tensors('input'), golden.meta['config']
    for key in golden.tensors('output'):
        form, tag = key.split('_')
        loss = StructureLoss(
            bce=LOSSES[form],
            window=config['kernel'],
            boundary_weight=config['boundary_weight'],
        )
        logits = inputs[f'logits_{tag}'].clone().requires_grad_()
        mask = inputs[f'mask_{tag}']
        value = loss(logits, mask[:, 0])
        near(golden, value, key)
        expected = golden.tensor(f'grad.input.logits_{tag}.{form}')
        assert_gradient(torch.autograd.grad(value, logits)[0], expected, key)
        assert torch.equal(mask, mask.round()) == (tag == 'binary')
        weights = loss.pixel_weights(mask)
        near(golden, weights, key, f'output_extra.weight_{tag}')
        if tag == 'binary':  # integer labels, as a head has them
            near(golden, loss(logits, mask[:, 0].long()), key)


@pytest.mark.parametrize('golden', cases('duat', 'lab_exchange'))
def test_lab_exchange(golden):
    image, reference = (golden.tensor(f'input.{n}').numpy() for n in ('image', 'reference'))
    for form, wrap in (('intended', False), ('official', True)):
        part = 'output' if f'output.{form}' in golden.meta['tensors'] else 'output_extra'
        expected = golden.tensor(f'{part}.{form}').numpy()
        rgb = exchange(image, reference, wrap=wrap)[..., ::-1]
        close = np.abs(rgb.astype(int) - expected.astype(int)) <= 1
        assert close.mean() >= 0.999, (form, close.mean())


@pytest.mark.parametrize('golden', cases('duat', 'metrics'))
def test_metrics(golden):
    inputs, expected = golden.tensors('input'), golden.tensors('output')
    metric = BinarySegMetric(metrics=['Dice', 'IoU', 'Dice_curve', 'IoU_curve'])
    metric.dataset_meta = dict(classes=('background', 'polyp'))
    images = sum(name.startswith('probability') for name in inputs)
    for i in range(images):
        scores, truth = inputs[f'probability{i}'], inputs[f'mask{i}']
        mine = image_scores(scores.numpy(), truth.numpy() > 0.5, metrics=('Dice', 'IoU'))
        for name in ('dice', 'iou'):
            column = {'dice': 'Dice_image', 'iou': 'IoU_image'}[name]
            assert mine[column] == pytest.approx(expected[f'{name}_0.5'][i].item(), abs=1e-6)
        sample = dict(
            domain='d',
            gt_sem_seg=dict(data=(truth > 0.5)[None].long()),
            pred_sem_seg=dict(data=(scores > 0.5)[None].long()),
            pred_scores=dict(data=scores[None]),
        )
        metric.process(None, [sample])
    found = metric.evaluate(images)
    columns = {
        'mean_dice_0.5': 'Dice_image',
        'mean_iou_0.5': 'IoU_image',
        'toolbox_mean_dice': 'Dice_curve',
        'toolbox_mean_iou': 'IoU_curve',
        'toolbox_max_dice': 'Dice_max',
        'toolbox_max_iou': 'IoU_max',
    }
    for name, column in columns.items():
        near(golden, torch.tensor(found[f'd/{column}'] / 100), name)
