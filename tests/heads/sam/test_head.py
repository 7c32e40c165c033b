"""SAM's decoder as a head: sizes, weights files, labels to ignore, training and prediction."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from rein_seg.errors import UserError
from rein_seg.heads.sam import SAMHead
from rein_seg.heads.sam.decoder import MaskDecoder
from rein_seg.heads.sam.head import resize
from rein_seg.heads.sam.weights import NETWORKS, convert_decoder
from rein_seg.structures import Features
from tests.encoders.tiny import ENCODERS

SMALL = dict(num_heads=2, hidden=16, iou_hidden=16)
POINTS = dict(num_points=64)


def sam_state(width=16, seed=0):
    """A file of SAM as Meta publishes it: decoder, prompt encoder, some of the encoder."""
    torch.manual_seed(seed)
    decoder = MaskDecoder(width, 4, shared_hypernetwork=False, **SMALL)
    state = {f'mask_decoder.{k}': v for k, v in decoder.state_dict().items()}
    place = 'prompt_encoder.pe_layer.positional_encoding_gaussian_matrix'
    state[place] = state.pop('mask_decoder.positional_encoding')
    state['prompt_encoder.no_mask_embed.weight'] = torch.randn(1, width)
    del state['mask_decoder.no_mask_embed']
    state['prompt_encoder.point_embeddings.0.weight'] = torch.randn(1, width)
    state['image_encoder.pos_embed'] = torch.randn(1, 2, 2, 8)
    return state


def samples(labels):
    result = []
    for label in labels:
        size = tuple(label.shape)
        sample = SegDataSample(metainfo=dict(ori_shape=size, img_shape=size))
        sample.gt_sem_seg = PixelData(data=label[None])
        result.append(sample)
    return result


def segmentor(num_classes, peft=None, head=None, **options):
    encoder = {**ENCODERS['sam'], 'out_indices': [1], 'neck': True, 'neck_channels': 16}
    return MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(
                type='PEFTBackbone',
                encoder=encoder,
                peft=peft or dict(type='ConvLoRA', num_experts=3),
            ),
            decode_head=dict(type='SAMHead', decoder=SMALL, **(head or {})),
            num_classes=num_classes,
            **options,
        )
    )


def test_counts_are_the_published_ones():
    def count(module, trainable):
        return sum(p.numel() for p in module.parameters() if p.requires_grad or not trainable)

    assert count(MaskDecoder(256, 4, shared_hypernetwork=False), trainable=False) == 4_058_340
    assert count(SAMHead([256], num_classes=2), trainable=True) == 3_505_536  # "3.506 M"


def test_every_token_starts_as_the_first_and_shares_its_network():
    state = sam_state()
    decoder = MaskDecoder(16, 5, num_classes=3, **SMALL)
    converted = convert_decoder(decoder, state)
    decoder.load_state_dict(converted.tensors, strict=True)
    first = state['mask_decoder.mask_tokens.weight'][0]
    assert torch.equal(decoder.mask_tokens.weight, first.expand(5, -1))
    for name in ('layers.0.weight', 'layers.2.bias'):
        mine = decoder.output_hypernetworks_mlps[0].get_parameter(name)
        assert torch.equal(mine, state[f'mask_decoder.{NETWORKS}.0.{name}'])
    assert torch.equal(decoder.no_mask_embed, state['prompt_encoder.no_mask_embed.weight'])
    assert sorted(converted.filled) == [
        'output_classifier_mlps.bias',
        'output_classifier_mlps.weight',
    ]
    assert 'image_encoder.pos_embed' in converted.left_out
    assert f'{NETWORKS}.3.layers.0.weight' in converted.left_out


def test_a_promptless_file_is_taken_as_it_is():
    decoder = MaskDecoder(16, 5, num_classes=3, **SMALL)
    state = {f'mask_decoder.{k}': v for k, v in decoder.state_dict().items()}
    again = MaskDecoder(16, 5, num_classes=3, **SMALL)
    converted = convert_decoder(again, state)
    again.load_state_dict(converted.tensors, strict=True)
    assert not converted.filled
    for name, tensor in decoder.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_the_positions_of_a_hugging_face_file_have_one_of_two_names():
    decoder, state = MaskDecoder(16, 1, **SMALL), sam_state()
    place = 'prompt_encoder.pe_layer.positional_encoding_gaussian_matrix'
    matrix = state.pop(place)
    names = ('shared_image_embedding', 'prompt_encoder.shared_embedding')
    for kept in (names[:1], names[1:], names):
        file = {**state, **{f'{name}.positional_embedding': matrix for name in kept}}
        decoder.load_state_dict(convert_decoder(decoder, file).tensors, strict=True)
        assert torch.equal(decoder.positional_encoding, matrix)


def test_one_network_for_each_token_needs_as_many_tokens():
    decoder = MaskDecoder(16, 3, shared_hypernetwork=False, **SMALL)
    with pytest.raises(UserError, match='has 4 hyper-networks, the head 3'):
        convert_decoder(decoder, sam_state())


def test_losses_of_one_name_add_up():
    losses = [dict(type='StructureLoss'), dict(type='StructureLoss', bce='weighted')]
    label = torch.zeros(1, 48, 64, dtype=torch.long)
    label[:, 10:30, 10:40] = 1
    features = Features(maps=(torch.randn(1, 16, 6, 8),))
    head = SAMHead([16], num_classes=2, decoder=SMALL, loss_decode=losses)
    both = head.loss(features, label)
    logits = resize(head(features).masks, (48, 64))
    expected = sum(loss(logits, label) for loss in head.loss_decode)
    assert list(both) == ['loss_structure']
    torch.testing.assert_close(both['loss_structure'], expected)


@torch.no_grad()
def test_scores_under_bfloat16_are_resized_in_float32():
    model = segmentor(2, test_cfg=dict(mode='whole', keep_scores=True)).eval()
    data = samples(torch.zeros(1, 96, 128, dtype=torch.long))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        (found,) = model.predict(torch.randn(1, 3, 96, 128), data)
    assert found.pred_scores.data.dtype == torch.float32
    assert found.pred_scores.data.unique().numel() > 1000
    assert found.pred_sem_seg.data.dtype == torch.long


def test_weights_come_from_the_encoders_file(tmp_path):
    encoder = MODELS.build(
        {
            **{k: v for k, v in ENCODERS['sam'].items() if k not in ('init_seed', 'name')},
            'neck': True,
            'neck_channels': 16,
        }
    )
    state = {f'image_encoder.{k}': v for k, v in encoder.state_dict().items()}
    state = {**sam_state(), **state}
    torch.save(state, tmp_path / 'sam.pth')
    cfg = {k: v for k, v in ENCODERS['sam'].items() if k != 'init_seed'}
    cfg |= dict(neck=True, neck_channels=16, checkpoint=str(tmp_path / 'sam.pth'))
    model = MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(type='PEFTBackbone', encoder=cfg, peft=dict(type='Frozen')),
            decode_head=dict(type='SAMHead', decoder=SMALL),
            num_classes=2,
        )
    )
    token = model.decode_head.decoder.iou_token.weight
    assert torch.equal(token, state['mask_decoder.iou_token.weight'])


@pytest.mark.parametrize('num_classes', [2, 4])
def test_training_reaches_every_parameter_and_lowers_the_loss(num_classes):
    torch.manual_seed(0)
    model = segmentor(num_classes, head=dict(set_loss=POINTS) if num_classes > 2 else {}).train()
    label = torch.zeros(2, 48, 64, dtype=torch.long)
    label[:, 8:40, 10:50] = 1
    label[:, 40:, :] = num_classes - 1
    image = torch.randn(2, 3, 48, 64) + label[:, None]
    params = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(params, lr=3e-3)
    values = []
    for _ in range(40):
        losses = model.loss(image, samples(label))
        total = sum(v for k, v in losses.items() if 'loss' in k)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        values.append(total.item())
    assert all(p.grad is not None for p in params)
    assert sum(values[-5:]) < 0.7 * sum(values[:5])
    names = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert {n for n in names if n.startswith('decode_head')} == {
        f'decode_head.decoder.iou_prediction_head.layers.{i}.{kind}'
        for i in range(3)
        for kind in ('weight', 'bias')
    }


def test_ignored_pixels_change_no_loss_of_several_classes():
    """Labels of 255, in classes, matching and masks; here masks have the label's size."""
    torch.manual_seed(0)
    head = SAMHead([16], num_classes=3, num_tokens=6, decoder=SMALL, set_loss=POINTS)
    label = torch.randint(0, 3, (2, 4, 4)).repeat_interleave(8, 1).repeat_interleave(8, 2)
    void = torch.zeros_like(label, dtype=torch.bool)
    void[:, 5:20, 9:23] = True
    label[void] = 255
    classes = torch.randn(1, 2, 6, 4)
    masks = torch.randn(1, 2, 6, 32, 32, requires_grad=True)
    ids = label.masked_fill(label == 255, 3)

    def losses(masks):
        torch.manual_seed(1)
        return head.set_loss(classes, masks, ids)

    before = losses(masks)
    (gradient,) = torch.autograd.grad(sum(before.values()), masks)
    everywhere = void[None, :, None].expand_as(masks)
    assert (gradient[everywhere] == 0).all()
    assert gradient.abs().sum() > 0
    noisy = torch.where(everywhere, 20 * torch.randn_like(masks), masks)
    after = losses(noisy)
    assert before.keys() == after.keys() == {'loss_cls', 'loss_mask', 'loss_dice'}
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, rtol=1e-6, atol=0)
    # and without the option, as Mask2Former is published, they do
    head.set_loss.leave_out_ignored = False
    assert not torch.equal(losses(noisy)['loss_mask'], losses(masks)['loss_mask'])


def test_a_label_map_with_255_trains_several_classes():
    model = segmentor(4, head=dict(set_loss=POINTS)).train()
    label = torch.randint(0, 4, (2, 48, 64))
    label[0, :20] = 255
    label[1] = 255  # nothing known of this image
    losses = model.loss(torch.randn(2, 3, 48, 64), samples(label))
    total = sum(v for k, v in losses.items() if 'loss' in k)
    total.backward()
    assert total.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ('num_classes', 'head', 'channels'),
    [(2, {}, 1), (2, dict(out_channels=2, num_tokens=5), 2), (4, dict(num_tokens=5), 4)],
)
@torch.no_grad()
def test_prediction_has_the_labels_size(num_classes, head, channels):
    keep = dict(keep_scores=True) if num_classes == 2 else {}
    model = segmentor(num_classes, head=head, test_cfg=dict(mode='whole', **keep)).eval()
    assert model.out_channels == channels
    data = samples(torch.zeros(1, 50, 70, dtype=torch.long))
    data[0].set_metainfo(dict(img_shape=(48, 64), pad_shape=(48, 64), padding_size=[0] * 4))
    (found,) = model.predict(torch.randn(1, 3, 48, 64), data)
    assert found.pred_sem_seg.data.shape == (1, 50, 70)
    assert found.pred_sem_seg.data.max() < num_classes
    if num_classes == 2:
        scores = found.pred_scores.data
        assert scores.shape == (1, 50, 70)
        assert scores.min() >= 0
        assert scores.max() <= 1
        assert torch.equal((scores > 0.5).long(), found.pred_sem_seg.data.long())
    assert 'seg_logits' not in found


@torch.no_grad()
def test_slide_equals_whole_in_one_window():
    model = segmentor(2).eval()
    image = torch.randn(1, 3, 48, 64)
    metas = [dict(img_shape=(48, 64), ori_shape=(48, 64))]
    whole = model.encode_decode(image, metas)
    model.test_cfg = dict(mode='slide', crop_size=(48, 64), stride=(32, 32))
    torch.testing.assert_close(model.slide_inference(image, metas), whole)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_classes=5, out_channels=1), 'num_classes=5; leave out_channels out'),
        (dict(num_classes=5, out_channels=3), 'out_channels=3 with num_classes=5'),
        (dict(num_classes=1), 'num_classes=1; expected 1'),
        (dict(num_classes=2, num_tokens=3), 'one mask token'),
        (dict(num_classes=2, set_loss=dict(num_points=9)), 'no set loss'),
        (dict(num_classes=3, loss_decode=dict(type='StructureLoss')), 'has no effect'),
        (dict(num_classes=3, num_tokens=0), 'num_tokens=0, expected at least 1'),
        (dict(num_classes=2, threshold=2.0), 'threshold=2.0, expected a probability'),
        (dict(num_classes=2, decoder=dict(num_tokens=3)), r"decoder sets \['num_tokens'\]"),
        (dict(num_classes=2, loss_decode=dict(type='CrossEntropyLoss')), 'use_sigmoid=True'),
        (dict(num_classes=3, set_loss=dict(cost_weights=(1, 2))), 'expected three'),
        (dict(num_classes=3, set_loss=dict(num_points=0)), 'at least one point'),
        (dict(num_classes=3, set_loss=dict(oversample=0.5)), 'not above oversample'),
        (dict(num_classes=3, in_channels=[20]), 'a map of 20 channels; expected a multiple of 8'),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(UserError, match=message):
        SAMHead(**{'in_channels': [16], 'decoder': SMALL, **options})


def test_a_file_without_a_decoder_is_refused(tmp_path):
    torch.save({'image_encoder.pos_embed': torch.zeros(1)}, tmp_path / 'encoder.pth')
    with pytest.raises(UserError, match=r'no mask decoder of SAM.*checkpoint=None'):
        SAMHead([16], num_classes=2, decoder=SMALL, checkpoint=str(tmp_path / 'encoder.pth'))


def test_scores_need_one_foreground():
    with pytest.raises(UserError, match=r'keep_scores=True .* 4 classes'):
        segmentor(4, test_cfg=dict(mode='whole', keep_scores=True))
