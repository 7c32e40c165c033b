"""ZegCLIP against its official code: prompted towers, head, losses, labels, whole segmentors."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from rein_seg.checkpoint import load_checkpoint
from rein_seg.heads import ATMHead
from rein_seg.heads.atm import ATMLoss
from rein_seg.heads.atm.head import IGNORED, UNSEEN
from rein_seg.heads.atm.weights import convert_atm
from rein_seg.models.backbone import PEFTBackbone
from rein_seg.models.postprocess import postprocess
from rein_seg.peft.methods.vpt import from_official
from rein_seg.structures import Features
from tests.golden.collect import assert_gradient, cases


def near(golden, found):
    """Compares outputs within the case's own tolerance."""
    bounds = golden.meta['tolerance']['output_max_abs']
    for name, expected in golden.tensors('output').items():
        error = (found[name].double() - expected.double()).abs().max()
        assert error <= bounds[name], f'{name}: {error} of {bounds[name]}'


def unseen_of(config):
    return tuple(i for i in range(config['classes']) if i not in config['seen'])


def build_head(config, weights, **options):
    """A head in training mode without dropout, as the vectors were made."""
    layers = {name.split('.')[2] for name in weights if name.startswith('decoder_1.layers.')}
    head = ATMHead(
        config['classes'],
        joint_dims=config.get('cin', config['dim']),
        text_dims=config['dim'],
        embed_dims=config['dim'],
        unseen=unseen_of(config),
        num_layers=len(layers),
        num_heads=config['heads'],
        dropout=0.0,
        **options,
    )
    converted = convert_atm(head, weights)
    head.load_state_dict(converted.tensors)
    return head, converted


PADDING = 200  # the official label; the official loss fails on it, ours ignores it
TRANSDUCTIVE = dict(setting='transductive', unseen_label=254)


@pytest.mark.parametrize('official_layout', [False, True])
@pytest.mark.parametrize('golden', cases('zegclip', 'head'))
def test_head(golden, official_layout):
    config, weights = golden.meta['config'], golden.tensors('weight')
    options = dict(use_proj=config['proj'], official_layout=official_layout)
    head, converted = build_head(config, weights, seen_bias=config['seen_bias'], **options)
    dead = set(golden.meta['checks']['dead_parameters'])
    idle = set(golden.meta['checks']['parameters_without_gradient'])
    assert set(converted.left_out) == (set() if official_layout else dead | idle)
    given = golden.tensors('input')
    inputs = {name: given[name].requires_grad_() for name in ('cls', 'dense')}
    features = Features((), joint=(inputs['cls'], inputs['dense']), text=given['text'])
    size = (config['img'], config['img'])
    found = {f'mask{i}': mask for i, mask in enumerate(head(features))}
    found['pred_inductive'] = head.predict(features, size)
    # a head of no unseen class has no transductive setting, which is a bias of 0
    setting = TRANSDUCTIVE if unseen_of(config) else dict(seen_bias=0.0)
    twin, _ = build_head(config, weights, **setting, **options)
    found['pred_transductive'] = twin.predict(features, size)
    seen = Features((), features.queries, joint=features.joint, text=given['text'][config['seen']])
    masks = F.interpolate(head(seen)[-1], size=size, mode='bilinear')
    near(golden, {**found, 'train_pred_masks': masks})
    (masks * golden.tensors('cotangent')['train_pred_masks']).sum().backward()
    params = {**dict(head.named_parameters()), **{f'input.{k}': v for k, v in inputs.items()}}
    for name, expected in golden.tensors('grad').items():
        if name.startswith('input.'):  # unit vectors, which the head normalises again
            x = params[name].detach()
            expected = expected - (expected * x).sum(1, keepdim=True) * x
        assert_gradient(params[name].grad, expected, name)


@pytest.mark.parametrize('golden', cases('zegclip', 'losses'))
def test_losses(golden):
    config, labels = golden.meta['config'], golden.tensors('input')['labels']
    loss = ATMLoss(
        mask_weight=config['mask_weight'],
        dice_weight=config['dice_weight'],
        alpha=config['alpha'],
        gamma=config['gamma'],
    )
    masks = golden.tensors('input')['pred_masks'].requires_grad_()
    found = loss(masks, labels)
    near(golden, {**found, 'loss': sum(found.values())})
    for name, value in found.items():
        (gradient,) = torch.autograd.grad(value, masks, retain_graph=True)
        expected = golden.tensors('grad')[f'{name}.input.pred_masks']
        assert_gradient(gradient, expected, name)


@pytest.mark.parametrize('golden', cases('zegclip', 'labels'))
def test_labels(golden):
    config = golden.meta['config']
    sizes = dict(joint_dims=8, text_dims=8, num_heads=1, unseen=unseen_of(config))
    known = torch.tensor([*range(config['classes']), PADDING, 255])  # labels that images can have
    for setting, options in (('inductive', {}), ('transductive', TRANSDUCTIVE)):
        head, outputs = ATMHead(config['classes'], **sizes, **options), golden.tensors('output')
        pairs = (
            (golden.tensors('input')['labels'], outputs[setting]),
            (known, outputs[f'{setting}_table'][known]),
        )
        for labels, expected in pairs:
            rows = head.rows(labels.long())
            ignored = (expected == PADDING) | (expected == 255)
            if setting == 'inductive':  # -1 ends as 255
                ignored |= expected == UNSEEN
            assert torch.equal(rows, expected.long().masked_fill(ignored, IGNORED)), setting


PROMPTS = ('prompt_', 'deep_prompt_')


def backbone_config(weights, folder, *, heads, blocks, tokens, depth=None, **encoder):
    """Our config of an official prompted tower, with its file; ``depth``: its total_d_layer."""
    width = len(weights['class_embedding'])
    side = round((len(weights['positional_embedding']) - 1) ** 0.5)
    torch.save(weights, folder / 'tower.pth')
    depth = blocks - 1 if depth is None else depth
    if depth < 0:
        chosen = f'last {-depth}'
    else:
        chosen = f'first {depth + 1}' if 0 < depth < blocks - 1 else None
    arch = dict(
        embed_dims=width, num_layers=blocks, num_heads=heads, feedforward_channels=4 * width
    )
    patch, linear = weights['conv1.weight'].shape[-1], weights.get('prompt_proj.weight')
    return dict(
        encoder=dict(
            type='CLIPViT',
            arch=arch,
            img_size=side * patch,
            patch_size=patch,
            joint_dims=weights['proj'].shape[1],
            checkpoint=str(folder / 'tower.pth'),
            **encoder,
        ),
        peft=dict(
            type='VPT',
            num_tokens=tokens,
            form='deep' if depth else 'shallow',
            project_dims=linear.shape[1] if linear is not None else None,
            blocks=chosen,
            post_norm=depth != 0,
        ),
    )


def prompt_gradients(method):
    """Returns the gradients of VPT by official name."""
    rows = method.prompts[0].grad
    # prompts of the last blocks alone have no first set beside the deep sets
    first = 0 if str(method.blocks).startswith('last') else 1
    found = {'prompt_embeddings': rows[:1], 'deep_prompt_embeddings': rows[first:]}
    layers = dict(zip(['prompt_proj'], method.projections, strict=False))
    if method.post_norm:
        layers['prompt_norm'] = method.norm
    for name, layer in layers.items():
        found |= {f'{name}.weight': layer.weight.grad, f'{name}.bias': layer.bias.grad}
    return found


@pytest.mark.parametrize('golden', cases('zegclip', 'tower'))
def test_tower(golden, tmp_path):
    config, weights = golden.meta['config'], golden.tensors('weight')
    cfg = backbone_config(
        weights,
        tmp_path,
        heads=config['heads'],
        blocks=config['layers'],
        tokens=config['num_tokens'],
        depth=config['total_d_layer'],
        class_embedding_twice=config['class_embedding_twice'],
    )
    backbone = PEFTBackbone(**cfg).eval()
    prompts = {k: v for k, v in weights.items() if k.startswith(PROMPTS)}
    backbone.peft.load_state_dict(from_official(prompts), strict=True)
    seen = {}
    for index, block in enumerate(backbone.encoder.layers):
        block.register_forward_hook(
            lambda m, a, y, i=index: seen.__setitem__(f'block{i}', y), prepend=True
        )
    x = golden.tensors('input')['x'].requires_grad_()
    found = dict(zip(('cls', 'dense'), map(F.normalize, backbone(x).joint), strict=True))
    for name, expected in golden.tensors('output_extra').items():
        if name.startswith('block'):
            torch.testing.assert_close(seen[name], expected, atol=1e-4, rtol=1e-4)
    near(golden, found)
    cotangents = golden.tensors('cotangent')
    sum((found[name] * cotangents[name]).sum() for name in found).backward()
    gradients = {**prompt_gradients(backbone.peft), 'input.x': x.grad}
    for name, expected in golden.tensors('grad').items():
        assert_gradient(gradients[name], expected, name)


def build_segmentor(golden, folder):
    """The segmentor of an official file, in training mode without dropout."""
    config, weights = golden.meta['config'], golden.tensors('weight')
    tower = {k.removeprefix('backbone.'): v for k, v in weights.items() if k.startswith('backbone')}
    layers = {k.split('.')[3] for k in weights if k.startswith('decode_head.decoder_1.layers.')}
    model = MODELS.build(
        dict(
            type='PEFTSegmentor',
            num_classes=config['classes'],
            backbone=dict(
                type='PEFTBackbone',
                **backbone_config(
                    tower,
                    folder,
                    heads=config['bheads'],
                    blocks=config['blocks'],
                    tokens=config['tokens'],
                    depth=config.get('total_d_layer'),
                    class_embedding_twice=config.get('class_embedding_twice', True),
                ),
            ),
            text=dict(
                type='ClassTable',
                classes=config['names'],
                unseen=[config['names'][i] for i in unseen_of(config)],
                dims=config['dim'],
                init_seed=0,
            ),
            decode_head=dict(
                type='ATMHead',
                num_heads=config['heads'],
                num_layers=len(layers),
                use_proj='decode_head.input_proj_1.weight' in weights,
                embed_dims=len(weights['decode_head.q_proj.weight']),
                dropout=0.0,
                **(TRANSDUCTIVE if config['st'] else {}),
            ),
            test_cfg=dict(mode='slide', crop_size=[config['img']] * 2, stride=config['stride']),
        )
    )
    model.text.table = golden.tensors('input')['text_table'].float()
    report = load_checkpoint({'state_dict': weights}, model, source='official.pth')
    assert '0 unexpected; left out, not used by this config: decode_head.decoder_1' in report
    return model


@pytest.mark.parametrize('golden', cases('zegclip', 'segmentor'))
def test_segmentor(golden, tmp_path):
    model, config = build_segmentor(golden, tmp_path), golden.meta['config']
    given = golden.tensors('input')
    labels = given['labels'][:, 0]
    features = model.extract_feat(given['image'])
    losses = model.feature_losses(features, labels)
    found = {name.removeprefix('decode.'): value for name, value in losses.items()}
    sum(found.values()).backward()
    head = model.decode_head
    rows = head.rows(labels)
    if config['st']:
        rows = head.with_pseudo_labels(rows, head(features)[-1])
    with torch.no_grad():
        model.eval()
        scores = model.encode_decode(given['image'][:1])
        slide = model.slide_inference(given['big'])
        size = tuple(config['ori'])
        resized = F.interpolate(slide, size=size, mode='bilinear')
        label = postprocess(slide[0], head, size)['pred_sem_seg']
    found |= {
        'loss': sum(found.values()),
        'label_used': rows.masked_fill(rows == IGNORED, 255)[:, None],
        'scores': scores,
        'slide_scores': resized,
    }
    near(golden, found)
    expected = golden.tensors('output_extra')['slide_labels'].long()
    assert torch.equal(label[expected != 255], expected[expected != 255])
    gradients = {f'backbone.{k}': v for k, v in prompt_gradients(model.backbone.peft).items()}
    gradients |= {f'decode_head.{k}': p.grad for k, p in head.named_parameters()}
    for name, expected in golden.tensors('grad').items():
        assert_gradient(gradients[name], expected, name)
