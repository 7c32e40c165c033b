"""What a resumed run believes of the files that its checkpoint names."""

import logging
from types import SimpleNamespace

from mmengine.logging import MessageHub

from rein_seg.engine.checkpoint_hook import CheckpointHook


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
