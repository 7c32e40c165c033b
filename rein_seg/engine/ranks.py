"""The processes of a run: they start together, and a rank that hangs is noticed and named."""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import torch
from mmengine import dist
from torch.distributed import distributed_c10d

from rein_seg.errors import UserError

TIMEOUT = 1800  # seconds; a check of all labels of a large data set may keep one rank that long
_WORDS = ('gloo', 'NCCL', 'pair closure', 'closed by peer')  # of errors that share no class
_GRACE = 3  # seconds in which every rank that still runs notices the same


def setup_distributed(launcher: str, cfg: Mapping[str, Any] | None = None) -> None:
    """Starts the process group with NCCL or gloo, so that the checks before a run share their work.

    mmengine starts it later, in the runner, and requires a GPU.

    Args:
        launcher: ``none`` starts nothing.
        cfg: Config of the run. ``env_cfg.dist_cfg.timeout``: seconds that a rank waits for another,
            by default `TIMEOUT`.

    Raises:
        UserError: If the variables that a launcher sets are missing, or the timeout is no number
            above 0.
    """
    if launcher == 'none' or dist.is_distributed():
        return
    if 'RANK' not in os.environ:
        raise UserError(
            f'--launcher {launcher}: RANK is not set; start with torchrun, as '
            'tools/dist_train.sh does: torchrun --nproc_per_node N -m rein_seg train ...'
        )
    seconds = _timeout(cfg or {})
    if torch.cuda.is_available():
        dist.init_dist(launcher, timeout=seconds)
    else:
        torch.distributed.init_process_group('gloo', timeout=timedelta(seconds=seconds))
        # gloo's threads must end before the interpreter, which aborts otherwise
        atexit.register(torch.distributed.destroy_process_group)


def leave(code: int) -> None:
    """Ends this process at once if it is a rank on CPUs; other processes go on.

    A thread of gloo may still run when the interpreter and the C++ libraries are torn down, which
    then abort: a finished rank would end with SIGABRT. The functions of ``atexit`` run first.

    Args:
        code: Exit code.

    Example:
        >>> from rein_seg.engine.ranks import leave
        >>> leave(0)  # nothing, without a process group
    """
    if not dist.is_distributed() or dist.get_backend() != 'gloo':
        return
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _timeout(cfg: Mapping[str, Any]) -> float:
    given = ((cfg.get('env_cfg') or {}).get('dist_cfg') or {}).get('timeout', TIMEOUT)
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given <= 1e7:
        raise UserError(
            f'env_cfg.dist_cfg.timeout={given!r}: expected seconds, above 0, such as {TIMEOUT}'
        )
    return given


def lost_rank(error: Exception) -> str | None:
    """Returns a line for an error that says that another rank hangs or has ended, else None.

    Example:
        >>> from rein_seg.engine.ranks import lost_rank
        >>> lost_rank(RuntimeError('shapes differ')) is None
        True
    """
    known = isinstance(error, torch.distributed.DistError)
    if 'RANK' not in os.environ or not (known or any(word in str(error) for word in _WORDS)):
        return None
    silent = _silent_ranks()
    who = f'rank {", ".join(map(str, silent))}' if silent else 'another rank'
    late = 'imed out' in str(error) or 'timeout' in str(error)
    what = 'did not answer in time (env_cfg.dist_cfg.timeout)' if late else 'ended or hangs'
    reason = str(error).strip().splitlines()[0].rpartition('] ')[2]
    return (
        f'{who} {what}: {reason[:200]}; see the output of that rank, end it if it still runs, and '
        'go on with --resume'
    )


def _silent_ranks() -> list[int]:
    """Returns the ranks that did not notice the error, too: they hang, or are gone."""
    try:
        store = distributed_c10d._get_default_store()
        store.set_timeout(timedelta(seconds=_GRACE))
        store.set(f'rein_seg/noticed/{os.environ["RANK"]}', '')
        end = time.monotonic() + _GRACE
        while True:
            ranks = range(int(os.environ['WORLD_SIZE']))
            silent = [r for r in ranks if not store.check([f'rein_seg/noticed/{r}'])]
            if not silent or time.monotonic() > end:
                return silent
            time.sleep(0.1)
    except (RuntimeError, ValueError, KeyError):
        return []  # the store was in the process that is gone
