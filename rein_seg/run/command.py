"""The command that made a run."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_TOOLS = 'tools'


def command_line(
    argv: Sequence[str] | None = None, environment: Mapping[str, str] | None = None
) -> str | None:
    """Returns the command of this process as shell words, or None if no command started it.

    It has the words that were typed: no folder of the installation.

    Args:
        argv: Default: of this process.
        environment: Default: of this process. Under torchrun it tells the number of processes.

    Example:
        >>> from rein_seg.run.command import command_line
        >>> command_line(['/opt/venv/bin/rein-seg', 'train', 'my config.py', '--amp'], {})
        "rein-seg train 'my config.py' --amp"
        >>> command_line(['/opt/rein_seg/__main__.py', 'train', 'a.py'], {'WORLD_SIZE': '2'})
        'torchrun --nproc_per_node 2 -m rein_seg train a.py'
    """
    argv = sys.argv if argv is None else argv
    environment = os.environ if environment is None else environment
    start, *words = argv or ['']
    path, processes = Path(start), environment.get('WORLD_SIZE')
    module = path.name == '__main__.py' and path.parent.name == 'rein_seg'
    if not module and path.name != 'rein-seg' and path.parent.name != _TOOLS:
        return None  # a notebook, a test, a program of the user
    program = start if path.parent.name == _TOOLS and not path.is_absolute() else path.name
    if processes is not None:
        local = environment.get('LOCAL_WORLD_SIZE', processes)
        program = f'torchrun --nproc_per_node {local} {"-m rein_seg" if module else program}'
    elif module:
        program = 'python -m rein_seg'
    elif path.parent.name == _TOOLS:
        program = f'python {program}'
    return ' '.join([program, *(shlex.quote(word) for word in words)])
