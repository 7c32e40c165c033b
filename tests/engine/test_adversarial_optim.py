"""Two optimizers: whose parameters they hold, what they are told, what they log."""

import pytest
import torch

from rein_seg.engine.adversarial_optim import AdversarialOptimConstructor
from rein_seg.engine.schedules import restart_schedules, schedules_differ
from rein_seg.engine.training_state import check_training_state
from rein_seg.errors import UserError
from tests.models.adversarial import OPTIM, build


def wrappers(**options):
    torch.manual_seed(0)
    model = build()
    return model, AdversarialOptimConstructor({**OPTIM, **options})(model)


def held(wrapper):
    return {id(p) for group in wrapper.optimizer.param_groups for p in group['params']}


def test_each_optimizer_holds_its_own_part_and_both_hold_all():
    model, both = wrappers()
    critic = {id(p) for p in model.critic.parameters()}
    assert held(both['critic']) == critic
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    assert held(both['generator']) == trained - critic


def test_both_have_options_of_their_own():
    critic = dict(
        optimizer=dict(type='AdamW', lr=0.02, betas=(0.5, 0.9), weight_decay=0.3),
        paramwise_cfg=dict(norm_decay_mult=0.0),
        clip_grad=dict(max_norm=2.0),
    )
    _, both = wrappers(critic=critic, clip_grad=dict(max_norm=1.0))
    groups = both['critic'].optimizer.param_groups
    assert {group['betas'] for group in groups} == {(0.5, 0.9)}
    assert {group['weight_decay'] for group in groups} == {0.3, 0.0}
    assert both['critic'].clip_grad_kwargs == {'max_norm': 2.0}
    assert both['generator'].clip_grad_kwargs == {'max_norm': 1.0}
    names = {name: one.grad_name for name, one in both.items()}
    assert names == {'generator': 'grad_norm', 'critic': 'critic_grad_norm'}
    assert both.get_lr() == {'lr': [0.01], 'critic_lr': [0.02, 0.02]}
    assert both.should_update()


def test_a_wrong_key_of_the_critic_names_its_place():
    critic = dict(OPTIM['critic'], paramwise_cfg=dict(decay=1))
    with pytest.raises(UserError, match='optim_wrapper.critic.paramwise_cfg takes'):
        wrappers(critic=critic)


def checkpoint(both, **states):
    return dict(
        meta={},
        message_hub={},
        optimizer={**both.state_dict(), **states},
        param_schedulers=dict(generator=[], critic=[]),
    )


@pytest.mark.parametrize(
    ('states', 'told'),
    [
        (dict(critic=None), 'it has no state of the critic'),
        (
            dict(critic=dict(state={}, param_groups=[])),
            r'critic: it has \[\] tensors in',
        ),
        (dict(generator=dict(state=3, param_groups=[])), "generator: 'param_groups' or 'state' is"),
    ],
)
def test_states_that_do_not_fit_name_the_optimizer(states, told):
    _, both = wrappers()
    check_training_state(checkpoint(both), both, source='iter_2.pth')
    with pytest.raises(UserError, match=told):
        check_training_state(checkpoint(both, **states), both, source='iter_2.pth')


class Halve:
    """A schedule that halves the rates."""

    end = 7

    def __init__(self, wrapper):
        self.groups = wrapper.param_groups
        for group in self.groups:
            group.setdefault('initial_lr', group['lr'])

    def step(self):
        for group in self.groups:
            group['lr'] /= 2


def test_schedules_of_both_are_compared_and_started_again():
    _, both = wrappers()
    schedules = {name: [Halve(one)] for name, one in both.items()}
    assert not schedules_differ([dict(end=7)], schedules)
    assert schedules_differ([dict(end=8)], schedules)
    schedules['critic'][0].step()
    restart_schedules(lambda: schedules, both, 3)
    assert both.get_lr() == {'lr': [0.01 / 8], 'critic_lr': [0.01 / 8]}
