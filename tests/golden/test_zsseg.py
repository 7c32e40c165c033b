"""The second stage of zsseg against official code: texts, regions, ensemble, stage 0, scores."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rein_seg.datasets import FillOutside
from rein_seg.datasets.unseen import seen_classes
from rein_seg.encoders.clip import encoder_of_file
from rein_seg.evaluation import SeenUnseenIoU
from rein_seg.models.backbone import PEFTBackbone
from rein_seg.models.regions import RegionCLIP, crop_regions, join_scores, segment
from rein_seg.text import CLIPTokenizer, PrefixDot, TextSource
from rein_seg.text.files import read_tower
from rein_seg.text.rows import mean_rows
from tests.golden.blocks import assert_outputs
from tests.golden.collect import assert_gradient, cases
from tests.golden.vocabulary import with_all_rows

# of OpenAI's models, 0..1
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
PIXELS = dict(mean=[255 * x for x in MEAN], std=[255 * x for x in STD])


def below(tensors, *prefixes):
    """Tensors without the first of the prefixes that their names have."""
    for prefix in prefixes:
        tensors = {name.removeprefix(prefix): x for name, x in tensors.items()}
    return tensors


def text_source(case, heads):
    state = with_all_rows(case.tensors('weight'), case.tensor('input.vocabulary_ids'))
    return TextSource(read_tower(state, source='case', heads=heads)[0].eval(), CLIPTokenizer(), '')


def image_tower(case, tmp_path):
    """Config of the image tower of a case, with its file."""
    config = case.meta['config']
    weights = below(case.tensors('weight'), 'clip_adapter.')
    clip = {name: x for name, x in weights.items() if name.startswith('clip_model.')}
    weights = below(clip, 'clip_model.')
    torch.save(weights, tmp_path / 'clip.pt')
    encoder = encoder_of_file(weights)
    encoder['arch'] = {**encoder['arch'], 'num_heads': config['vision']['heads']}
    return {**encoder, **PIXELS, 'checkpoint': str(tmp_path / 'clip.pt')}


def check_tokens(case, texts):
    ids = case.tensor('input.tokens')
    for row, text in zip(ids.reshape(-1, ids.shape[-1]), texts, strict=True):
        torch.testing.assert_close(CLIPTokenizer().encode([text], len(row))[0], row)


@pytest.mark.parametrize('case', cases('zsseg', 'prompts_predefined'))
def test_predefined_prompts(case):
    config, source = case.meta['config'], text_source(case, case.meta['config']['heads'])
    texts = [[t.format(name) for t in config['templates']] for name in config['names']]
    check_tokens(case, [name[i] for i in range(len(config['templates'])) for name in texts])
    assert_outputs({'text': mean_rows(source, texts, False)}, case)


def learned_prompts(case, heads, monkeypatch):
    """Prompts with the vectors of a case."""
    config, weights = case.meta['config'], case.tensors('weight')
    source = text_source(case, heads)
    monkeypatch.setattr('rein_seg.text.learned.build_source', lambda *args: source)
    prefix, suffix = config['prompt_shape']
    prompt = PrefixDot(config['names'], num_prefix=prefix, num_suffix=suffix)
    for name in ('prefix_prompt', 'suffix_prompt'):
        given = next((x for key, x in weights.items() if key.endswith(f'learner.{name}')), None)
        if given is not None and len(given):
            setattr(prompt, name, nn.Parameter(given))
    return prompt


def check_vectors(case, prompt):
    grads = case.tensors('grad')
    assert grads
    for name, expected in grads.items():
        assert_gradient(getattr(prompt, name.rpartition('.')[2]).grad, expected, name)


@pytest.mark.parametrize('case', cases('zsseg', 'prompts_learned'))
def test_learned_prompts(case, monkeypatch):
    check_tokens(case, case.meta['config']['names'])
    prompt = learned_prompts(case, case.meta['config']['heads'], monkeypatch)
    text = prompt()
    assert_outputs({'text': text}, case)
    (text * case.tensor('cotangent.text')).sum().backward()
    check_vectors(case, prompt)


@pytest.mark.parametrize('case', cases('zsseg', 'regions', 'regions_matting_expand'))
def test_regions(case):
    config, image = case.meta['config'], case.tensor('input.image')
    options = dict(
        threshold=config['mask_thr'],
        expand=config['mask_expand_ratio'],
        matting=config['mask_matting'],
    )
    masks, fill = case.tensor('input.masks'), config.get('mask_fill', 'mean')
    mean, std = image.new_tensor(PIXELS['mean']), image.new_tensor(PIXELS['std'])
    crops, boxes, valid = crop_regions(image, masks, mean * (fill == 'mean'), **options)
    crops = [(crop - mean[:, None, None]) / std[:, None, None] for crop in crops]
    found = {f'region{i}': crop for i, crop in enumerate(crops)}
    stage = RegionCLIP(fill=fill, **options, **PIXELS)
    pictures, again = stage.pictures(image, masks)
    assert torch.equal(valid, again)
    found |= {'boxes': torch.tensor(boxes), 'valid': valid.int()}
    assert_outputs({**found, 'resized_every_7th': pictures[..., ::7, ::7]}, case)


@pytest.mark.parametrize('case', cases('zsseg', 'ensemble'))
def test_ensemble(case):
    config, given = case.meta['config'], case.tensors('input')
    seen = torch.zeros(config['classes'], dtype=torch.bool)
    none = seen.clone()
    seen[config['seen']] = True
    inputs = given['class_logits'], given['region_logits'][:, :-1], given['valid'].bool()
    weight, masks = config['clip_ensemble_weight'], given['mask_logits'].sigmoid()
    scores = {
        'seen_known': join_scores(*inputs, weight=weight, seen=seen),
        'all_unseen': join_scores(*inputs, weight=weight, seen=none),
        'region_only': join_scores(*inputs, weight=0, seen=seen),
        'query_only': given['class_logits'].softmax(1)[:, :-1],
    }
    assert_outputs({name: segment(one, masks) for name, one in scores.items()}, case)


@pytest.mark.parametrize('case', cases('zsseg', 'second_stage'))
def test_second_stage(case, tmp_path):
    config, given, weights = case.meta['config'], case.tensors('input'), case.tensors('weight')
    texts = [config['template'].format(name) for name in config['names']]
    check_tokens(case, texts)
    source = text_source(case, config['text']['heads'])
    rows = mean_rows(source, [[text] for text in texts], False)
    table = torch.cat([rows, F.normalize(weights['non_object_embedding'])])
    error = (table - case.tensor('output_extra.text_table')).abs().max()
    assert error <= 1e-5
    logits = 100 * F.normalize(given['query_embeddings']) @ table.T
    masks = F.interpolate(given['mask_logits'][None], config['size'], mode='bilinear')[0].sigmoid()
    stage = RegionCLIP(
        image_tower(case, tmp_path),
        threshold=config['mask_thr'],
        size=config['vision']['resolution'],
    ).eval()
    with torch.no_grad():
        regions, valid = stage(given['image'], masks, table)
    seen = torch.zeros(len(texts), dtype=torch.bool)
    seen[config['seen']] = True
    weight = config['clip_ensemble_weight']
    scores = join_scores(logits, regions[:, :-1], valid, weight=weight, seen=seen)
    found = dict(class_logits=logits, region_logits=regions, valid=valid.int())
    found['segmentation'] = segment(scores, masks)
    assert_outputs({**found, 'labels': found['segmentation'].argmax(0)}, case)


@pytest.mark.parametrize('case', cases('zsseg', 'stage_zero'))
def test_stage_zero(case, tmp_path, monkeypatch):
    config, given = case.meta['config'], case.tensors('input')
    prompt = learned_prompts(case, config['text']['heads'], monkeypatch)
    fill = FillOutside(**PIXELS, fill_after_normalisation=True)
    pictures = []
    for image, mask in zip(given['image'], given['masks'], strict=True):
        picture = image.permute(1, 2, 0).numpy()[..., ::-1]  # BGR, as files are read
        filled = fill(dict(img=picture, region_mask=mask.bool().numpy()))['img']
        pictures.append(torch.from_numpy(filled[..., ::-1].copy()).permute(2, 0, 1))
    mean, std = (torch.tensor(PIXELS[key])[:, None, None] for key in ('mean', 'std'))
    backbone = PEFTBackbone(image_tower(case, tmp_path), dict(type='Frozen'))
    images = backbone((torch.stack(pictures) - mean) / std).joint[0]
    logits = 100 * F.normalize(images) @ prompt().T
    loss = F.cross_entropy(logits, given['labels'])
    assert_outputs({'logits': logits, 'loss': loss[None]}, case)
    loss.backward()
    check_vectors(case, prompt)


@pytest.mark.parametrize('case', cases('zsseg', 'metric'))
def test_scores(case):
    config, given = case.meta['config'], case.tensors('input')
    unseen = seen_classes(config['seen'], config['classes'])
    metric = SeenUnseenIoU(unseen=unseen, ignore_index=config['ignore'])
    metric.dataset_meta = dict(classes=tuple(map(str, range(config['classes']))))
    images = sorted(name.removeprefix('label') for name in given if name.startswith('label'))
    maps = [(given[f'label{i}'].numpy(), given[f'pred{i}']) for i in images]
    samples = [(dict(pred_sem_seg=dict(data=pred[None])), label) for label, pred in maps]
    scores = metric.summarise([metric.measure(*sample) for sample in samples])
    names = dict(hIoU='hiou', S='seen', U='unseen', mIoU='miou', pAcc='pixel_accuracy')
    bounds, expected = case.meta['tolerance']['output_max_abs'], case.tensors('output')
    for ours, theirs in names.items():
        assert scores[ours] == pytest.approx(expected[theirs].item(), abs=bounds[theirs])
    labelled = np.bincount(np.concatenate([label.ravel() for label, _ in maps]), minlength=256)
    found = [-1 if not labelled[i] else iou for i, iou in enumerate(scores['IoU'].values())]
    assert found == pytest.approx(expected['iou'].tolist(), abs=bounds['iou'])
