"""Masks are opened by updates of the optimizer; wrong spans and models without masks are named."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from rein_seg.engine import MaskAnnealingHook
from rein_seg.errors import UserError
from rein_seg.heads import EoMTHead, LinearHead


def model(blocks=2):
    head = EoMTHead(8, num_classes=2, in_strides=16, num_queries=3, num_blocks=blocks)
    return nn.ModuleDict({'backbone': nn.Linear(2, 2), 'decode_head': head})


class Runner(SimpleNamespace):
    """Counts iterations; the optimizer updates after ``counts`` of them, and at the end."""

    def __init__(self, module, max_iters, counts=1, done=0):
        wrapper = SimpleNamespace(should_update=self.updated, _accumulative_counts=counts)
        super().__init__(
            bare_model=module, max_iters=max_iters, iter=done, optim_wrapper=wrapper, counts=counts
        )

    def updated(self):
        done = self.iter + 1
        return done % self.counts == 0 or done == self.max_iters

    def train(self, hook, until):
        """Returns the probabilities that each forward pass sees."""
        hook.before_train(self)
        probs, seen = self.bare_model['decode_head'].attn_mask_probs, []
        while self.iter < until:
            seen.append(probs.tolist())
            hook.after_train_iter(self, self.iter)
            self.iter += 1
        return seen


def test_blocks_open_one_after_the_other_in_equal_parts_of_the_run():
    module = model()
    seen = Runner(module, 8).train(MaskAnnealingHook(power=1.0), 8)
    assert seen == [[1, 1], [1, 1], [1, 1], [0.5, 1], [0, 1], [0, 0.5], [0, 0], [0, 0]]
    assert module['decode_head'].attn_mask_probs.tolist() == [0, 0]


def test_accumulated_gradients_count_once():
    hook = MaskAnnealingHook(starts=[0, 2], ends=[2, 4], power=1.0)
    seen = Runner(model(), 7, counts=2).train(hook, 7)
    # updates after iterations 2, 4, 6 and, at the end, 7
    assert seen == [[1, 1]] * 2 + [[0.5, 1]] * 2 + [[0, 1]] * 2 + [[0, 0.5]]


@pytest.mark.parametrize('stop', [1, 3, 4, 5])
def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(stop):
    hook = MaskAnnealingHook(starts=[0, 1], ends=[3, 4])
    whole = Runner(model(), 8, counts=2).train(hook, 8)
    first = Runner(model(), 8, counts=2).train(hook, stop)
    # a new process: the buffer is that of a new model, as if the file had none
    rest = Runner(model(), 8, counts=2, done=stop).train(hook, 8)
    assert first + rest == whole


def test_probabilities_are_in_the_state_that_is_saved():
    module = model()
    Runner(module, 8).train(MaskAnnealingHook(), 3)
    expected = torch.tensor([0.5**0.9, 1.0])
    torch.testing.assert_close(module.state_dict()['decode_head.attn_mask_probs'], expected)


def test_a_run_shorter_than_its_blocks_is_told(monkeypatch):
    said = []
    place = 'rein_seg.engine.mask_annealing.print_log'
    monkeypatch.setattr(place, lambda text, **_: said.append(text))
    MaskAnnealingHook(starts=[1, 4], ends=[4, 8]).before_train(Runner(model(), 8))
    assert said == []
    MaskAnnealingHook(starts=[1, 4], ends=[4, 8]).before_train(Runner(model(), 14, counts=2))
    assert 'ends after 7 updates of the optimizer, and 1 of 2 blocks end later' in said[0]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(starts=[4, 2], ends=[5, 6]), r'starts=\[4, 2\].*expected rising starts'),
        (dict(starts=[1, 2]), 'ends=None; expected a start and an end of each block, or neither'),
        (dict(starts=[1, 2], ends=[3]), 'expected a start and an end of each block'),
        (dict(starts=[1, 5], ends=[3, 4]), r'ends=\[3, 4\]; expected each end behind its start'),
    ],
)
def test_wrong_spans(options, message):
    with pytest.raises(UserError, match=message):
        MaskAnnealingHook(**options)


def test_another_number_of_blocks_than_the_head_s():
    hook = MaskAnnealingHook(starts=[1, 2, 3], ends=[2, 3, 4])
    with pytest.raises(UserError, match=r'3 starts \(\[1, 2, 3\]\), but the head has 2 blocks'):
        hook.before_train(Runner(model(), 8))


def test_a_model_without_masks():
    module = nn.ModuleDict({'decode_head': LinearHead([8], num_classes=2, in_index=[0])})
    with pytest.raises(UserError, match=r"no head .* has masks to open \(heads: \['LinearHead'\]"):
        MaskAnnealingHook().before_train(Runner(module, 8))
