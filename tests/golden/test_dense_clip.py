"""DenseCLIP under official names, against its code: decoder, score maps, whole segmentors."""

import pytest

from rein_seg.checkpoint import load_strict
from rein_seg.necks import PixelTextNeck
from rein_seg.necks.pixel_text import ContextDecoder
from rein_seg.necks.pixel_text.neck import score_map
from tests.golden.blocks import assert_outputs
from tests.golden.collect import assert_gradient, cases


def below(tensors, prefix):
    """Tensors whose names start with a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def inputs_of(golden):
    return {
        name: x.requires_grad_() if x.is_floating_point() else x
        for name, x in golden.tensors('input').items()
    }


def check_gradients(golden, own, named):
    """Compares the gradients of sum(cotangent * output), or of the loss, with the sidecar's."""
    grads, cotangents = golden.tensors('grad'), golden.tensors('cotangent')
    if not grads:
        return
    total = sum((own[name] * x).sum() for name, x in cotangents.items()) if cotangents else None
    (own['loss'].sum() if total is None else total).backward()
    for name, expected in grads.items():
        assert_gradient(named[name].grad.reshape(expected.shape), expected, name)


def check_decoder(golden):
    config, inputs = golden.meta['config'], inputs_of(golden)
    decoder = ContextDecoder(
        config['visual_dim'],
        config['transformer_width'],
        num_heads=config['transformer_heads'],
        num_layers=config['transformer_layers'],
    ).train(golden.meta['mode'].startswith('train'))
    load_strict(decoder, golden.tensors('weight'), what='decoder', source='golden')
    own = {'text_diff': decoder(inputs['text'], inputs['visual'])}
    assert_outputs(own, golden)
    named = dict(decoder.named_parameters()) | {f'input.{k}': v for k, v in inputs.items()}
    check_gradients(golden, own, named)


def check_score_map(golden):
    """From the embeddings of both towers to the map that the FPN reads."""
    config, inputs, weights = golden.meta['config'], inputs_of(golden), golden.tensors('weight')
    index, level = config['score_concat_index'], inputs['level'].detach()
    neck = PixelTextNeck(
        [level.shape[1]] * (index + 1),
        [2**i for i in range(index + 1)],
        num_classes=len(config['names']),
        joint_dims=config['embed'],
        text_dims=config['embed'],
        level=index,
        decoder=decoder_sizes(config),
    ).train(golden.meta['mode'].startswith('train'))
    names = ('context_decoder.', 'gamma')
    own = {k: v for k, v in weights.items() if k.startswith(names)}
    neck.load_state_dict({**neck.state_dict(), **own})
    before = golden.tensor('output_extra.text_before')[0]
    text = neck.update(before, (inputs['global'], inputs['dense']))
    scores = score_map(inputs['dense'], text)
    joined = neck.join([level] * (index + 1), scores)[index]
    own = {'text_embeddings': text, 'score_map': scores, 'neck_input': joined}
    assert_outputs(own, golden)


def decoder_sizes(config):
    return dict(dims=config['dwidth'], num_heads=config['dheads'], num_layers=config['dlayers'])


CHECKS = {'text_diff': check_decoder, 'score_map': check_score_map}


@pytest.mark.parametrize('golden', cases('dense_clip', ''))
def test_dense_clip(golden):
    outputs = golden.tensors('output')
    check = next(check for name, check in CHECKS.items() if name in outputs)
    check(golden)
