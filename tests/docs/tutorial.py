"""Runs the code blocks of a tutorial in their order, as a reader does, in a folder of its own.

Blocks of Python with a title are written to that file, others are run; blocks of bash are run. A
block of text after one with ``title="output"`` holds lines that it must print.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.paths import REPO

TUTORIALS = REPO / 'docs/tutorials'
FENCE = re.compile(r'^( *)```(\w+)(?: title="([^"]+)")?\n(.*?)^\1```$', re.M | re.S)
# `rein-seg` of this checkout, whatever is installed
SHELL = f"""rein-seg() {{
    PYTHONPATH="${{PYTHONPATH:-}}:{REPO}" "{sys.executable}" -m rein_seg "$@"
}}
"""
# fewer iterations and images: what matters here is that every line works
SHORTER = [
    (r'max_iters=\d+', 'max_iters=21'),
    (r'--max-iters \d+', '--max-iters 4'),
    (r'range\(40\)', 'range(10)'),
    # the copied configs in the place of the shipped ones
    (r'(rein-seg (?:train|test|compare) )(\w+)(?= |$)', r'\1configs/\2.py'),
    (r"'_base_/", "'./configs/_base_/"),
    (r"_base_ = '(\w+)'", r"_base_ = './configs/\1.py'"),
]
FEW_SCENES = """
pipeline = [dict(type='LoadDomainImage'), dict(type='LoadLabels'), dict(type='PackDomainInputs')]
scenes = dict(type='MiniScapesDataset', split='val', count=3, test_mode=True, pipeline=pipeline)
train_dataloader = dict(dataset=dict(count=4))
val_dataloader = dict(dataset=dict(_delete_=True, type='ConcatDataset', datasets=[
    dict(scenes, domain=domain)
    for domain in ('clear', 'overcast', 'night', 'fog', 'rain', 'snow')]))
test_dataloader = val_dataloader
"""


def blocks(page: str) -> list[tuple[str, str, str]]:
    """Returns language, title and text of each code block of a page."""
    return [
        (language, title, textwrap.dedent(text))
        for _, language, title, text in FENCE.findall((TUTORIALS / page).read_text())
    ]


def shorter(text: str) -> str:
    """Returns the text with fewer iterations and images; shipped configs by path."""
    for pattern, new in SHORTER:
        text = re.sub(pattern, new, text, flags=re.M)
    return text


def run_page(page: str, folder: Path, *, commands: bool = True) -> None:
    """Runs a page in ``folder``, with a copy of the configs that draws few images.

    Args:
        page: File name.
        folder: An empty folder.
        commands: Whether to run the blocks that call rein-seg, too: seconds to minutes each.
    """
    shutil.copytree(REPO / 'configs', folder / 'configs')
    with (folder / 'configs/_base_/benchmarks/miniscapes.py').open('a') as benchmark:
        benchmark.write(FEW_SCENES)
    printed = ''
    for language, title, text in blocks(page):
        if language == 'text' and title == 'output':
            missing = [line for line in text.splitlines() if line not in printed.splitlines()]
            assert not missing, f'{page}: {missing} not in\n{printed}'
        elif language == 'python' and title:
            (folder / title).write_text(shorter(text))
        elif language in ('python', 'bash') and (commands or 'rein-seg ' not in text):
            printed = _run(language, shorter(text), folder)


def _run(language: str, text: str, folder: Path) -> str:
    command = ['bash', '-ec', SHELL + text] if language == 'bash' else [sys.executable, '-c', text]
    paths = os.pathsep.join([str(REPO), os.environ.get('PYTHONPATH', '')])
    binaries = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, 'PYTHONPATH': paths, 'PATH': binaries},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f'{text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}'
    return done.stdout
