"""zsseg's proposal head against the official code: every layer, logits, gradients."""

import pytest

from rein_seg.heads.mask2former.masks import mask_logits
from rein_seg.heads.maskformer.predictor import QueryPredictor
from rein_seg.heads.maskformer.words import word_logits
from rein_seg.heads.mlp import MLP
from tests.golden.collect import assert_gradient, cases

CLIP = 'clip_adapter.non_object_embedding'


def build(config):
    """Returns the official predictor's double of the sidecar's sizes."""
    hidden = [config['embed_hidden_dim']] * (config['embed_layers'] - 1)
    return QueryPredictor(
        config['in_channels'],
        MLP(config['hidden_dim'], *hidden, config['embedding_dim']),
        embed_dims=config['hidden_dim'],
        mask_dims=config['mask_dim'],
        num_queries=config['queries'],
        num_layers=config['decoder_layers'],
        num_heads=config['heads'],
        hidden=config['ffn'],
    ).eval()


@pytest.mark.parametrize('golden', cases('zsseg', 'proposal_head'))
def test_proposals_equal_the_official_ones(golden):
    config, weights = golden.meta['config'], golden.tensors('weight')
    predictor = build(config)
    predictor.load_state_dict(golden.tensors('weight.predictor'), strict=True)
    no_object = weights[CLIP].requires_grad_()
    given = golden.tensors('input')
    features = given['features'].requires_grad_()
    queries = predictor(features)
    masks = mask_logits(predictor.mask_embed(queries), given['mask_features'])
    embeds = predictor.class_embed(queries)
    logits = word_logits(embeds, given['text'], no_object, config['temperature'])
    last = config['decoder_layers'] - 1
    found = {
        'pred_masks': masks[last],
        'class_logits': logits[last],
        'class_embeddings': embeds[-1],
    }
    for layer in range(last):
        found[f'aux{layer}_masks'], found[f'aux{layer}_class_logits'] = masks[layer], logits[layer]
    bounds = golden.meta['tolerance']['output_max_abs']
    expected = golden.tensors('output')
    assert len(masks) == config['decoder_layers'] and set(expected) <= set(found)
    for name, x in (expected | golden.tensors('output_extra')).items():
        error = (found[name] - x).abs().max()
        assert error <= bounds.get(name, bounds['pred_masks']), f'{name}: {error}'
    sum((found[name] * x).sum() for name, x in golden.tensors('cotangent').items()).backward()
    params = {f'predictor.{k}': p for k, p in predictor.named_parameters()}
    params |= {CLIP: no_object, 'input.features': features}
    for name, x in golden.tensors('grad').items():
        assert_gradient(params[name].grad, x, name)
