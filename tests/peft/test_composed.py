"""Methods in a list."""

import functools
from itertools import permutations

import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.peft import Composed, Rein, build_methods
from rein_seg.registry import describe_method
from tests.engine.optimizers import build as build_optimizer
from tests.engine.optimizers import hyper
from tests.engine.optimizers import model as segmentor
from tests.peft.cases import CASES, Case
from tests.peft.contract import assert_same, build, image, randomise, training_loss

SINGLE = {}  # the first case of each method, but of those that read text
for _case in CASES:
    if isinstance(_case.cfg, dict) and not _case.needs and _case.classes is None:
        SINGLE.setdefault(_case.cfg['type'], _case)


@functools.cache
def attached(name):
    """Returns a method on a tiny encoder, and the parameters that it trains or replaces."""
    backbone = composed(SINGLE[name].cfg)
    return backbone.peft, backbone.peft.owned_parameters(backbone.anatomy)


def not_together(first, second):
    (one, its), (other, others) = attached(first), attached(second)
    both_make_queries = None not in (one.query_dims, other.query_dims)
    reads_a_changed_output = other.reads_operations and one.operations() & other.operations()
    looks_at_a_trained = {one.looks_first, other.looks_first} == {True, False} and (
        one.trains_encoder or other.trains_encoder
    )
    return both_make_queries or its & others or reads_a_changed_output or looks_at_a_trained


def composed(*methods, family='vit_without_cls'):
    return build(Case('several', list(methods)), family)


@pytest.mark.parametrize('first', SINGLE)
def test_every_two_methods_train_and_merge_together_or_say_why_not(first):
    for second in SINGLE.keys() - {first, 'Frozen'}:
        pair = (first, second)
        cfgs = [SINGLE[name].cfg for name in pair]
        if not_together(*pair):
            with pytest.raises(UserError, match='give|list it first|leave it|leave one'):
                composed(*cfgs)
            continue
        backbone = composed(*cfgs)
        randomise(backbone)
        training_loss(backbone).backward()
        trainable = [(n, p) for n, p in backbone.named_parameters() if p.requires_grad]
        idle = [n for n, p in trainable if p.grad is None or not p.grad.any()]
        assert not idle, (pair, idle)
        assert all(torch.isfinite(p.grad).all() for _, p in trainable), pair
        if all(SINGLE[name].merges for name in pair):
            with torch.no_grad():
                before = backbone.eval()(image())
                backbone.peft.merge()
                assert_same(backbone(image()), before, tolerance=2e-5)


@pytest.mark.parametrize(
    ('names', 'apart'),
    [
        (('Rein', 'FADA', 'SET'), True),  # queries for one head
        (('Full', 'BitFit', 'SoMA'), True),  # a parameter trained twice
        (('LoRA', 'VeRA', 'SSF', 'ConvLoRA', 'Rein', 'VPT'), False),
    ],
)
def test_methods_that_go_together(names, apart):
    assert {bool(not_together(*pair)) for pair in permutations(names, 2)} == {apart}


@pytest.mark.parametrize('name', ['DoRA', 'SoMA', 'RepAdapter'])
def test_methods_that_read_the_plain_output_come_first(name):
    assert not_together('LoRA', name)
    assert not not_together(name, 'LoRA')


def test_the_methods_add_up():
    """A method at its start adds nothing to what the other does."""
    lora, adapter = SINGLE['LoRA'].cfg, SINGLE['AdaptFormer'].cfg
    both, alone = composed(lora, adapter).eval(), composed(lora).eval()
    trained = {n: torch.randn_like(p) * 0.1 for n, p in alone.peft.named_parameters()}
    alone.peft.load_state_dict(trained)
    both.peft.methods[0].load_state_dict(trained)
    assert_same(both(image()), alone(image()))


def test_a_list_of_one_is_that_method():
    backbone = composed(SINGLE['Rein'].cfg)
    assert isinstance(backbone.peft, Rein)
    assert describe_method([SINGLE['Rein'].cfg]) == describe_method(SINGLE['Rein'].cfg)
    assert [one['type'] for one in describe_method([dict(type='LoRA'), dict(type='BitFit')])] == [
        'LoRA',
        'BitFit',
    ]


def test_queries_and_losses_are_those_of_the_methods():
    backbone = composed(SINGLE['ConvLoRA'].cfg, SINGLE['Rein'].cfg, SINGLE['ConvLoRA'].cfg)
    assert isinstance(backbone.peft, Composed)
    assert backbone.query_dims == SINGLE['Rein'].cfg['query_dims']
    assert backbone(image()).queries.shape == (5, 8)
    first, second = backbone.peft.methods[0], backbone.peft.methods[2]
    each = [layer.aux.item() for m in (first, second) for layer in m.layers.values()]
    loss = backbone.peft.aux_losses()['loss_balance']
    assert loss.item() == pytest.approx(0.01 * sum(each))


def test_nothing_is_merged_when_one_cannot_be():
    backbone = composed(SINGLE['LoRA'].cfg, SINGLE['Mona'].cfg).eval()
    randomise(backbone)
    before = backbone(image())
    with pytest.raises(NotImplementedError, match='Mona cannot be merged'):
        backbone.peft.merge()
    assert_same(backbone(image()), before)


def test_weight_decay_follows_the_method():
    cfgs = [SINGLE['DoRA'].cfg, SINGLE['LoRA'].cfg | dict(targets=['fc1'])]
    module = segmentor(cfgs)
    decays = {name: decay for name, (_, decay) in hyper(module, build_optimizer(module)).items()}
    own = {name: decay for name, decay in decays.items() if name.startswith('backbone.peft.')}
    assert {name.split('.')[3] for name in own} == {'0', '1'}
    assert all((decay == 0) == name.endswith('magnitude') for name, decay in own.items())


def test_a_segmentor_tells_each_method_the_classes():
    module = segmentor([dict(type='LoRA', rank=2), dict(type='SPM')])
    assert module.backbone.peft.methods[1].num_classes == 4
    assert [one['type'] for one in module.identity['method']] == ['LoRA', 'SPM']


@pytest.mark.parametrize(
    ('peft', 'message'),
    [
        ([], 'expected one method or more'),
        ('LoRA', 'expected dict'),
        ([dict(type='LoRA'), 'BitFit'], 'expected dict'),
        ([dict(type='LoRA'), dict(type='BitFt')], "did you mean 'BitFit'"),
        ([dict(type='VPT', form='shallow')] * 2, "form='deep'"),
        ([dict(type='Rein')] * 2, 'link_to_queries=False'),
        (
            [dict(type='FRPT')] * 2,
            'all move the content .* leave all but one',
        ),
        ([dict(type='BitFit')] * 2, "'ln1.bias'|other targets"),
    ],
)
def test_what_does_not_go_together_is_refused(peft, message):
    case = type('Case', (), dict(cfg=peft))
    with pytest.raises(UserError, match=message):
        build(case, 'vit')


def test_a_method_that_looks_first_stands_beside_no_trained_encoder():
    with pytest.raises(UserError, match='FRPT looks at the image with the frozen encoder first'):
        build_methods([dict(type='FRPT'), dict(type='Full')])
