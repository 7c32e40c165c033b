"""CAVPT: the classes that it selects, its prompts, its auxiliary loss, its sizes."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

import rein_seg
from rein_seg.encoders import shapes_only
from rein_seg.errors import UserError
from rein_seg.models.backbone import PEFTBackbone
from rein_seg.peft import CAVPT
from tests.encoders.tiny import ENCODERS

K = 4


def build(family='clip_joint', num_classes=K, **options):
    torch.manual_seed(1)
    peft = dict(type='CAVPT', num_classes=num_classes, num_selected=2, **options)
    return PEFTBackbone(ENCODERS[family], peft)


def image(batch=3):
    return torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(7))


def words(count=K):
    text = torch.randn(count, 8, generator=torch.Generator().manual_seed(2))
    return text, F.normalize(text)


def telling_words(backbone):
    """Words in whose place images of a random encoder, which are almost alike, differ."""
    images = backbone(image(), *words()).first.joint[0]
    mean = images.mean(0)
    apart = images - (images @ mean)[:, None] * mean / mean.square().sum()
    return words()[0], F.normalize(torch.cat((apart, -apart[:1])))


def selected(backbone):
    """The classes of the frozen image, and those of the method after a pass."""
    text, fixed = telling_words(backbone)
    first = backbone(image(), text, fixed).first
    scores = F.normalize(first.joint[0]) @ fixed.T
    return scores.argsort(descending=True)[:, :2], backbone.peft._selected


def test_the_classes_nearest_to_the_frozen_image_are_selected_the_nearest_first():
    expected, found = selected(build())
    assert torch.equal(found, expected)
    assert len(found.unique(dim=0)) > 1  # images differ


def test_fewer_classes_than_selected_give_fewer_prompts():
    backbone = build(num_classes=1)
    backbone(image(), *words(1))
    assert backbone.peft._selected.tolist() == [[0], [0], [0]]


def test_prompts_of_the_text_of_selected_classes_alone():
    """Another embedding of a class matters where it is selected, and nowhere else."""
    backbone = build().eval()
    text, fixed = telling_words(backbone)
    before = backbone(image(), text, fixed).joint[0]
    moved = text.clone()
    moved[0] = -moved[0]
    after = backbone(image(), moved, fixed).joint[0]
    changed = (before - after).abs().amax(1) > 1e-6
    assert changed.tolist() == (backbone.peft._selected == 0).any(1).tolist()
    assert 0 < changed.sum() < 3


def test_gradients_reach_the_text_through_prompts_and_not_the_tokens_of_lower_blocks():
    backbone, (text, fixed) = build(), words()
    text.requires_grad_()
    backbone(image(), text, fixed).joint[0].square().sum().backward()
    rows = text.grad.abs().sum(1) > 0
    assert rows.nonzero().flatten().tolist() == backbone.peft._selected.unique().tolist()


def trained(backbone, losses):
    """Returns the loss by its definition, from the logits that `losses` reads."""
    return backbone.peft.loss_weight * torch.stack(losses).mean() if losses else torch.zeros(())


def test_the_loss_of_images_is_over_the_prompts_of_the_true_class():
    backbone, labels = build(aware_blocks=2), torch.tensor([0, 1, 2])
    backbone(image(), *telling_words(backbone))
    logits, chosen = backbone.peft._logits, backbone.peft._selected
    each = [
        F.cross_entropy(block[i, j], labels[i])
        for block in logits
        for i in range(3)
        for j in range(2)
        if chosen[i, j] == labels[i]
    ]
    assert 0 < len(each) < 12
    found = backbone.peft.image_losses(labels)
    assert list(found) == ['loss_classes']
    assert torch.allclose(found['loss_classes'], trained(backbone, each))
    assert backbone.peft.image_losses(labels) == {}  # once


def test_no_selected_class_is_true_and_the_loss_is_zero_with_gradients_of_zero():
    backbone = build()
    backbone(image(), *words())
    chosen = backbone.peft._selected
    other = torch.tensor([next(k for k in range(K) if k not in row) for row in chosen.tolist()])
    loss = backbone.peft.image_losses(other)['loss_classes']
    loss.backward()
    assert loss == 0
    assert not backbone.peft.extractor.classfiers[0].weight.grad.any()


def test_an_image_of_pixels_shows_every_class_that_has_one():
    backbone = build()
    backbone(image(), *words())
    logits, chosen = backbone.peft._logits[0], backbone.peft._selected
    labels = torch.full((3, 4, 4), 255)
    labels[0, 0, :2] = chosen[0]  # both
    labels[1, 0, 0] = chosen[1, 1]
    pairs = ((0, 0), (0, 1), (1, 1))
    each = [F.cross_entropy(logits[i, j], chosen[i, j]) for i, j in pairs]
    found = backbone.peft.label_losses(labels, ignore_index=255)['loss_classes']
    assert torch.allclose(found, trained(backbone, each))


def test_nothing_of_a_pass_in_evaluation_is_kept_and_copies_work_after_one_in_training():
    backbone = build()
    backbone(image(), *words())
    assert copy.deepcopy(backbone).peft.image_losses(torch.tensor([0, 1, 2])) == {}
    assert backbone.anatomy.state.prepared == {}
    backbone.eval()(image(), *words())
    assert backbone.peft.image_losses(torch.tensor([0, 1, 2])) == {}


def test_two_passes_before_the_backward_pass_with_checkpointing():
    """The second pass of a checkpointed block gets the text of its own image."""
    grads = []
    for saving in (False, True):
        torch.manual_seed(1)
        cfg = dict(type='CAVPT', num_classes=K, num_selected=2, aware_blocks=2)
        backbone = PEFTBackbone(ENCODERS['clip_joint'], cfg, activation_checkpointing=saving)
        text, fixed = words()
        first, second = (backbone(x, text, fixed).joint[0] for x in (image(), -image()))
        (first.square().sum() - second.square().sum()).backward()
        grads.append(backbone.peft.extractor.meta_nets[0].weight.grad)
        assert backbone.anatomy.state.prepared == {}
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-5)


# b static and class-aware blocks of ViT-B/32, from 1 to 12: 8192 values of text are apart
@pytest.mark.parametrize(('first', 'classes'), [(12, 10), (12, 1000), (9, 101), (1, 47)])
def test_published_numbers_of_parameters(first, classes):
    with shapes_only():
        encoder = dict(
            type='CLIPViT', arch='base', img_size=224, patch_size=32, joint_dims=512, init_seed=0
        )
        peft = dict(type='CAVPT', num_classes=classes, aware_blocks=13 - first)
        method = PEFTBackbone(encoder, peft).peft
    count = sum(p.numel() for p in method.parameters())
    assert count == (first - 1) * 7680 + (13 - first) * (1_043_712 + 768 * classes)


@pytest.mark.parametrize(
    ('family', 'message'),
    [
        ('vit', "the 'vit' encoder has none"),
        ('swin', 'encoder has none: expected a tower of CLIP with joint_dims'),
        ('resnet_clip_joint', 'CAVPT inserts tokens'),
    ],
)
def test_encoders_without_a_joint_space_or_tokens_are_refused(family, message):
    with pytest.raises(UserError, match=message):
        build(family)


def test_too_many_blocks_and_a_missing_number_of_classes_are_refused():
    with pytest.raises(UserError, match='aware_blocks=3: .* has 2 blocks with tokens'):
        build(aware_blocks=3)
    with pytest.raises(UserError, match='CAVPT num_classes=None: a model fills it in'):
        CAVPT()


def test_a_pass_without_text_is_refused():
    with pytest.raises(UserError, match='this pass has none: expected text and fixed_text'):
        build()(image())


def model(text, head='TextImageHead', peft='CAVPT', **options):
    backbone = dict(type='PEFTBackbone', encoder=ENCODERS['clip_joint'], peft=dict(type=peft))
    return MODELS.build(
        dict(
            type='PEFTImageModel',
            backbone=backbone,
            text=text,
            head=dict(type=head),
            num_classes=2,
            **options,
        )
    )


TOWER = dict(init_seed=0, width=16, layers=1, heads=2, words=['a', 'road', 'sky'])
COOP = dict(type='CoOp', classes=['road', 'sky'], num_context=2, tower=TOWER)


def test_a_learned_prompt_without_fixed_words_is_refused_and_a_table_serves_as_both():
    with pytest.raises(UserError, match='has learned words alone: expected text.fixed_template'):
        model(COOP)
    with pytest.raises(UserError, match='no text branch'):
        model(None)
    table = model(dict(type='ClassTable', classes=['road', 'sky'], templates=['a {}'], tower=TOWER))
    features = table.encode(image(1))
    assert torch.equal(features.text, features.fixed_text)


def test_fixed_words_are_normalised_and_in_the_identity_where_they_are_given():
    plain = MODELS.build({**COOP, 'dims': 8})
    fixed = MODELS.build({**COOP, 'dims': 8, 'fixed_template': 'a {}'})
    assert plain.fixed() is None
    assert 'fixed_template' not in plain.identity
    assert fixed.identity['fixed_template'] == 'a {}'
    words = dict(classes=['road', 'sky'], templates=['a {}'], tower=TOWER, dims=8)
    assert torch.allclose(fixed.fixed(), MODELS.build(dict(type='ClassTable', **words))())
    assert not any('fixed' in name for name in fixed.state_dict())
    with pytest.raises(UserError, match=r"fixed_template='road': expected a sentence with one {}"):
        MODELS.build({**COOP, 'fixed_template': 'road'})
    with pytest.raises(UserError, match="does not know the word 'the'"):
        MODELS.build({**COOP, 'fixed_template': 'the {}'})


def test_other_classes_after_the_training():
    trained = model({**COOP, 'fixed_template': 'a {}'}).eval()
    trained.text.set_classes(['sky', 'a road', 'a sky'])
    features = trained.encode(image(1))
    assert features.fixed_text.shape == (3, 8)
    assert trained.backbone.peft._selected.shape == (1, 3)


def test_it_cannot_be_attached_to_a_module_which_makes_no_first_pass():
    encoder = MODELS.build({k: v for k, v in ENCODERS['clip_joint'].items() if k != 'init_seed'})
    with pytest.raises(UserError, match='CAVPT looks at the image first'):
        rein_seg.attach(encoder, dict(type='CAVPT', num_classes=K))
