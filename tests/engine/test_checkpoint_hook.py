"""What a resumed run believes of the files that its checkpoint names."""

import logging
from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub

from rein_seg.engine.checkpoint_hook import CheckpointHook
from rein_seg.errors import UserError


def test_no_file_elsewhere_is_a_best_checkpoint(tmp_path):
    """A better score removes the best checkpoint before it."""
    run, victim = tmp_path / 'run', tmp_path / 'thesis.pdf'
    run.mkdir()
    victim.touch()
    (run / 'best_b_iter_2.pth').touch()
    hub = MessageHub(f'best-{tmp_path.name}')
    hub.update_info('best_ckpt_a', str(victim))
    hub.update_info('best_ckpt_b', '/elsewhere/best_b_iter_2.pth')
    runner = SimpleNamespace(
        work_dir=str(run), message_hub=hub, logger=logging.getLogger('test'), iter=2
    )
    hook = CheckpointHook(interval=1, save_best=['a', 'b', 'c'], rule='greater')
    hook.before_train(runner)
    best = str(run / 'best_b_iter_2.pth')
    assert hook.best_ckpt_path_dict == {'a': None, 'b': best, 'c': None}


def validated(hook, metrics, folder):
    """Returns the runner after a validation of volumes; its saved files are its attribute."""
    saved = []
    evaluator = SimpleNamespace(metrics=[SimpleNamespace(columns=('Dice', 'HD95'))])
    runner = SimpleNamespace(
        work_dir=str(folder), message_hub=MessageHub(f'undefined-{folder.name}'), iter=4, epoch=0,
        logger=logging.getLogger('test'), val_loop=SimpleNamespace(evaluator=evaluator),
        save_checkpoint=lambda folder, filename, **options: saved.append(filename), saved=saved,
    )  # fmt: skip
    hook.before_train(runner)
    hook.after_val_epoch(runner, metrics)
    return runner


def test_an_undefined_score_chooses_no_checkpoint(tmp_path):
    hook = CheckpointHook(interval=1, by_epoch=False, save_best='standard/HD95', rule='less')
    assert validated(hook, {'standard/Dice': 0.0}, tmp_path).saved == []
    runner = validated(hook, {'standard/Dice': 50.0, 'standard/HD95': 3.0}, tmp_path)
    assert runner.saved == ['best_standard_HD95_iter_4.pth']


@pytest.mark.parametrize('key', ['standard/HD96', 'standart/HD95', 'HD95'])
def test_a_score_that_no_validation_gives_is_named(tmp_path, key):
    hook = CheckpointHook(interval=1, by_epoch=False, save_best=key, rule='less')
    with pytest.raises(UserError, match=f"save_best='{key}': expected a score of the validation"):
        validated(hook, {'standard/Dice': 50.0, 'standard/HD95': 3.0}, tmp_path)
