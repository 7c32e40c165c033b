"""EoMT in a model: losses, copies, compiled code, several sizes, adapter files, refusals."""

import copy

import numpy as np
import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import OptimWrapper
from PIL import Image

import rein_seg
from rein_seg.cli import main
from rein_seg.errors import UserError
from tests.cli.calls import call
from tests.inference.pixels import picture
from tests.inference.tiny_models import write_adapter
from tests.models.tiny import build, samples
from tests.run.tiny_run import write_config

EOMT = dict(type='EoMTHead', num_queries=5, num_blocks=2, loss=dict(num_points=16))
LORA = dict(type='LoRA', rank=2)


def model(**options):
    torch.manual_seed(0)
    return build(**{'family': 'vit_tiny', 'head': EOMT, 'peft': LORA, **options})


def images(batch=2, height=32, width=48):
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def scores(built):
    with torch.no_grad():
        return built.encode_decode(images())


def test_every_prediction_is_supervised_in_training_and_the_last_in_tests():
    built = model()
    named = {name.removeprefix('decode.') for name in built.loss(images(), samples(2, 32, 48))}
    parts = ('loss_cls', 'loss_mask', 'loss_dice')
    assert named == {f'{early}{part}' for early in ('d0.', 'd1.', '') for part in parts}
    built.decode_head.attn_mask_probs.zero_()
    assert built.train().extract_feat(images()).early != ()
    assert built.eval().extract_feat(images()).early == ()


def test_mask_losses_are_divided_by_pairs():
    """An image without targets adds no pair; Mask2Former counts it as one."""
    built = model().eval()
    features, (first, second) = built.extract_feat(images()), samples(2, 32, 48)
    labels = torch.stack([x.gt_sem_seg.data[0] for x in (first, second)])
    labels[1] = 255
    torch.manual_seed(2)
    losses = built.decode_head.loss(features, labels)
    halved = build(
        head={**EOMT, 'loss': {**EOMT['loss'], 'divisor': 'images'}}, family='vit_tiny', peft=LORA
    )
    halved.load_state_dict(built.state_dict())
    torch.manual_seed(2)
    others = halved.decode_head.loss(features, labels)
    pairs = min(len(labels[0].unique()), 5)
    ratio = torch.tensor((pairs + 1) / pairs)
    torch.testing.assert_close(losses['loss_dice'] / others['loss_dice'], ratio)


def test_a_few_steps_fit_an_image():
    built = model(peft=dict(type='Full')).train()
    wrapper = OptimWrapper(torch.optim.AdamW(built.parameters(), lr=3e-3))
    batch = samples(2, 32, 48)
    for sample in batch:  # three stripes
        sample.gt_sem_seg.data = torch.arange(48).div(16).long().expand(1, 32, 48)
    history = []
    for _ in range(40):
        torch.manual_seed(0)
        loss, _ = built.parse_losses(built.loss(images(), batch))
        wrapper.update_params(loss)
        history.append(loss.item())
    assert history[-1] < 0.5 * history[0]


def test_averages_follow_their_own_head():
    built = model().eval()
    averaged = ExponentialMovingAverage(built, momentum=0.5)
    twin = averaged.module
    assert twin.backbone.joined.head is twin.decode_head is not built.decode_head
    before = scores(built)
    torch.testing.assert_close(scores(twin), before, rtol=0, atol=0)
    with torch.no_grad():
        for param in built.decode_head.parameters():
            param.add_(0.5)
    torch.testing.assert_close(scores(twin), before, rtol=0, atol=0)
    averaged.update_parameters(built)  # a copy first
    averaged.update_parameters(built)
    assert not torch.equal(scores(twin), before)
    assert not torch.equal(scores(copy.deepcopy(built)), before)


@pytest.mark.parametrize('probability', [0.0, pytest.param(1.0, marks=pytest.mark.whole_matrix)])
def test_compiled_code_gives_the_same_scores_and_gradients(probability):
    built = model()
    built.decode_head.attn_mask_probs.fill_(probability)
    compiled = torch.compile(built.backbone, backend='aot_eager', dynamic=False)
    results = []
    for backbone in (built.backbone, compiled):
        built.zero_grad()
        features = backbone(images())
        losses = [
            x.square().mean() for pair in built.decode_head.predictions(features) for x in pair
        ]
        sum(losses).backward()
        grads = [p.grad.clone() for p in built.parameters() if p.grad is not None]
        results.append((torch.stack(losses), grads))
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('form', ['one', 'each'])
def test_training_at_several_sizes(form):
    built = model(multi_scale=form, multi_scale_ratios=(1.0, 1.5), crop_size=(32, 32))
    wrapper = OptimWrapper(torch.optim.SGD(built.parameters(), lr=0.01))
    data = dict(inputs=[torch.zeros(3, 32, 32).byte()] * 2, data_samples=samples(2, 32, 32))
    losses = built.train().train_step(data, wrapper)
    assert all(torch.as_tensor(value).isfinite().all() for value in losses.values())


CONFIG = """
model = dict(
    backbone=dict(peft=dict(_delete_=True, type='LoRA', rank=2)),
    decode_head=dict(
        _delete_=True, type='EoMTHead', num_queries=5, num_blocks=2, upscale_channels={upscale}
    ),
)
"""


@pytest.mark.parametrize('upscale', [None, 8])
def test_an_adapter_file_predicts_what_its_model_did(tmp_path, upscale):
    path, built = write_adapter(tmp_path, extra=CONFIG.format(upscale=upscale))
    predictor = rein_seg.load(str(path), device='cpu')
    loaded = predictor.model
    assert loaded.backbone.joined.head is loaded.decode_head
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = built.encode_decode(image)
        torch.testing.assert_close(loaded.encode_decode(image), expected, rtol=0, atol=0)
    pixels = picture(40, 70)
    found = predictor.predict(pixels).map
    written = tmp_path / 'picture.png'
    Image.fromarray(pixels).save(written)
    code, err = call('predict', path, written, '--out', tmp_path / 'out', '--device', 'cpu')
    assert code == 0, err
    assert (np.asarray(Image.open(tmp_path / 'out/picture.png')) == found).all()


def test_show_names_the_arguments_of_the_head(tmp_path, capsys):
    config = write_config(tmp_path, extra=CONFIG.format(upscale=256))
    assert main(['show', config, 'model.decode_head']) == 0
    out = capsys.readouterr().out
    assert 'upscale_channels = 256' in out
    assert 'masked_attention = True' in out


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(head={**EOMT, 'num_blocks': 3}), 'num_blocks=3, but the encoder has 2 blocks'),
        (dict(head={**EOMT, 'num_queries': 0}), 'EoMTHead num_queries=0: expected a whole number'),
        (dict(head={**EOMT, 'in_index': 0}), 'in_index'),
        (dict(family='sam'), 'EoMTHead reads maps behind the final norm of a plain vision'),
        (dict(family='swin'), "and the 'swin' encoder has no such norm: take one that has"),
        (dict(family='convnext'), "and the 'convnext' encoder has no such norm"),
        (dict(family='pe_spatial'), 'final_norm=True keeps the norm behind the last block, and'),
        (dict(family='vit'), 'encoder.final_norm=False takes the norm off: expected True'),
        (dict(family='clip'), 'norms its last block alone: set encoder.out_indices to the last'),
        (dict(peft=dict(type='Rein')), 'width 256, but EoMTHead puts them among tokens of width'),
    ],
)
def test_models_that_cannot_be_are_refused_in_a_line(options, message):
    with pytest.raises(UserError, match=message) as error:
        model(**options)
    assert '\n' not in str(error.value)


def test_queries_of_rein_are_offered_at_the_width_of_the_stream():
    rein = dict(type='Rein', num_tokens=6, rank=2, query_dims=16)
    built = model(peft=rein)
    assert not hasattr(built.decode_head, 'q')
    features = built.extract_feat(images())
    assert features.queries.shape == (2, 6, 16)
    built.parse_losses(built.loss(images(), samples(2, 32, 48)))[0].backward()
    assert all(p.grad is not None and p.grad.any() for p in built.backbone.peft.parameters())
