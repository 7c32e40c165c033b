"""Prompts that learn: places of the vectors, what is kept, what a state dict holds."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.text import CoOp, PrefixDot, SharedContext
from tests.text.towers import TOWER

CLASSES = ['road', 'traffic light', 'sky']
MAKERS = {
    'shared': lambda **more: SharedContext(CLASSES, num_context=3, tower=TOWER, **more),
    'coop': lambda **more: CoOp(CLASSES, num_context=3, tower=TOWER, **more),
    'per_class': lambda **more: CoOp(CLASSES, num_context=3, per_class=True, tower=TOWER, **more),
    'prefix': lambda **more: PrefixDot(CLASSES, num_prefix=3, num_suffix=2, tower=TOWER, **more),
}


@pytest.fixture(params=MAKERS)
def prompt(request):
    return MAKERS[request.param]()


def test_vectors_learn_and_the_tower_does_not(prompt):
    text = prompt()
    assert text.shape == (3, 8)
    text.square().sum().backward()
    own = {name for name, p in prompt.named_parameters() if not name.startswith('tower.')}
    assert own == set(prompt.state_dict())
    for name, param in prompt.named_parameters():
        assert (param.grad is not None and param.grad.abs().sum() > 0) == (name in own), name
        assert param.requires_grad == (name in own)


def test_a_state_dict_loads_without_the_tower(prompt):
    state = {name: torch.full_like(x, 0.25) for name, x in prompt.state_dict().items()}
    before = prompt()
    assert prompt.load_state_dict(state) and not torch.equal(prompt(), before)
    assert all((x == 0.25).all() for x in prompt.state_dict().values())


def test_kept_embeddings_are_exact(prompt, monkeypatch):
    calls = []
    compute = type(prompt).compute
    monkeypatch.setattr(type(prompt), 'compute', lambda self: calls.append(1) or compute(self))
    prompt.eval()
    with torch.no_grad():
        first = prompt()
        assert prompt() is first and len(calls) == 1
        param = next(p for p in prompt.parameters() if p.requires_grad)
        param.data.mul_(2)  # as weight averaging does it, unseen by autograd's counters
        second = prompt()
        assert len(calls) == 2
        torch.testing.assert_close(second, compute(prompt), rtol=0, atol=0)
        assert not torch.equal(first, second)
    assert prompt().requires_grad and len(calls) == 3  # gradients are never cut off
    prompt.train()
    with torch.no_grad():
        assert prompt() is not second and len(calls) == 4


def test_other_classes(prompt):
    classes = ['tram', 'sky']
    if getattr(prompt, 'per_class', False):
        with pytest.raises(UserError, match='per_class=True: the vectors belong to'):
            prompt.set_classes(classes)
        assert prompt.classes == tuple(CLASSES)
        return
    old = prompt()
    prompt.set_classes(classes)
    assert prompt.classes == ('tram', 'sky') and prompt.unseen == ()
    torch.testing.assert_close(prompt()[1], old[2])
    with pytest.raises(UserError, match="does not know the word 'tank'"):
        prompt.set_classes(['tank'])
    assert prompt.classes == ('tram', 'sky') and len(prompt()) == 2


@pytest.mark.parametrize(('options', 'deviation'), [({}, 0.88), (dict(init_std=0.02), 0.02)])
def test_shared_vectors_start_normal(options, deviation):
    torch.manual_seed(0)
    tasks = [f'task{i}' for i in range(40)]
    prompt = SharedContext(CLASSES, num_context=16, tower=TOWER, tasks=tasks, **options)
    assert prompt.contexts.std().item() == pytest.approx(deviation, rel=0.02)
    assert prompt.contexts.abs().max() <= 2


def test_synonyms_share_direction_and_length():
    prompt = MAKERS['shared'](names=dict(road=['road', 'street']))
    plain = MAKERS['shared'](names=dict(road=['street']))
    plain.load_state_dict(prompt.state_dict())
    street = plain()
    plain.set_classes(CLASSES, names=dict(road=['road']))
    road, both = plain(), prompt()
    mean = road[0] / road[0].norm() + street[0] / street[0].norm()
    expected = mean / mean.norm() * (road[0].norm() + street[0].norm()) / 2
    torch.testing.assert_close(both[0], expected)
    torch.testing.assert_close(both[1:], road[1:])


@pytest.mark.parametrize(
    ('position', 'plan'),
    [
        ('end', [12, -1, -2, -3, 7, 8, 13]),
        ('middle', [12, -1, 7, 8, -2, -3, 13]),
        ('front', [12, 7, 8, -1, -2, -3, 13]),
    ],
)
def test_places_of_vectors(position, plan):
    prompt = MAKERS['coop'](position=position)
    assert prompt.sequences[1].tolist() == plan
    assert prompt.sequences[2].tolist()[-2:] == [13, 0]


def test_tasks_have_vectors_of_their_own():
    prompt = MAKERS['shared'](tasks=['day', 'night'])
    assert prompt.contexts.shape == (2, 3, 16) and prompt.task == 'day'
    prompt.eval()
    with torch.no_grad():
        day = prompt()
        prompt.set_task('night')
        night = prompt()
    assert not torch.allclose(day, night)
    prompt().sum().backward()
    assert prompt.contexts.grad[0].abs().sum() == 0 < prompt.contexts.grad[1].abs().sum()
    with pytest.raises(UserError, match=r"task='nihgt' is no task; did you mean 'night'"):
        prompt.set_task('nihgt')


@pytest.mark.parametrize(
    ('cfg', 'words'),
    [
        (dict(type='SharedContext', token_length=3), "'traffic light' has 4 tokens"),
        (dict(type='SharedContext', num_context=80), 'the text tower takes 77: lower one'),
        (dict(type='CoOp', num_context=75), "class 'road' has 78 tokens with its prompt"),
        (dict(type='CoOp', position='before'), "'end', 'middle' or 'front'"),
        (dict(type='PrefixDot', num_prefix=0), 'a sum above 0'),
        (dict(type='PrefixDot', names=dict(sky=['...'])), "the name '...' has no token"),
        (dict(type='SharedContext', tower=None), 'expected checkpoint=FILE or init_seed=N'),
        (dict(type='SharedContext', dims=9), 'dims=8, expected 14 of its tokenizer and 9'),
    ],
)
def test_wrong_options_end_in_a_line(cfg, words):
    with pytest.raises(UserError, match=words):
        MODELS.build({'classes': CLASSES, 'tower': TOWER, **cfg})


def test_a_name_is_cut_where_that_is_wished():
    prompt = MAKERS['shared'](token_length=3, truncate=True)
    assert prompt.sequences.shape == (3, 6) and prompt.sequences[1].tolist()[-2:] == [7, 13]


def test_tasks_are_part_of_the_identity():
    tower = dict(init_seed=0, width=16, layers=1, heads=2, dims=8, words=['road', 'sky'])
    one = SharedContext(['road', 'sky'], num_context=2, tower=tower)
    two = SharedContext(['road', 'sky'], num_context=2, tower=tower, tasks=['a', 'b'])
    assert 'tasks' not in one.identity  # as in files before there were tasks
    assert two.identity['tasks'] == ['a', 'b']
    assert {**two.identity, 'tasks': None} == {**one.identity, 'tasks': None}
