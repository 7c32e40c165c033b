"""Files that carry code, through every door that a file comes in by."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from tests.campaign.case import MARKER, Case
from tests.checkpoint.archives import rewrite
from tests.run.tiny_run import write_config

KIND = 'files that carry code'
EVIL = f"import pathlib\npathlib.Path('{MARKER}').touch()\n"
TOUCH = f'touch {MARKER}'


class Payload:
    """Writes the marker when it is unpickled."""

    def __reduce__(self):
        return os.system, (TOUCH,)


class Module(nn.Module):
    """Of a TorchScript archive."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


def _script(path: Path) -> None:
    torch.jit.script(Module()).save(str(path))


def _script_pickle(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        _script(path)
        rewrite(path, lambda n, old: [(n, content if n.endswith('/data.pkl') else old)])

    return write


def _legacy(path: Path) -> None:
    torch.save(dict(model=Payload()), path, _use_new_zipfile_serialization=False)


def _polyglot(path: Path) -> None:
    torch.save(dict(a=torch.ones(1)), path)
    harmless = path.read_bytes()
    torch.save(dict(a=Payload()), path)
    path.write_bytes(path.read_bytes() + harmless)


def _twice(path: Path) -> None:
    torch.save(dict(a=torch.ones(1)), path)
    evil = pickle.dumps(dict(a=Payload()), 2)
    rewrite(
        path, lambda n, old: [(n, old), (n.upper(), evil)] if n.endswith('.pkl') else [(n, old)]
    )


def _compressed(path: Path) -> None:
    torch.save(dict(a=Payload()), path)
    rewrite(path, lambda *part: [part], zipfile.ZIP_DEFLATED)


PAYLOADS: dict[str, Callable[[Path], object]] = {
    'pickled call': lambda path: torch.save(dict(state_dict=Payload()), path),
    'plain pickle': lambda path: path.write_bytes(pickle.dumps(Payload())),
    'file of before 1.6': _legacy,
    'two directories': _polyglot,
    'two parts of one name': _twice,
    'compressed parts': _compressed,
    'TorchScript, call in its pickle': _script_pickle(pickle.dumps(Payload(), 2)),
    'TorchScript, getattr': _script_pickle(b'cbuiltins\ngetattr\n(cos\nS"system"\ntR.'),
}


def _encoder(folder: Path) -> list[str]:
    extra = "model = dict(backbone=dict(encoder=dict(checkpoint='x.pth')))\n"
    return ['train', write_config(folder, extra=extra), '--work-dir', 'run']


def _load_from(folder: Path) -> list[str]:
    config = write_config(folder)
    return ['train', config, '--work-dir', 'run', '--cfg-options', 'load_from=x.pth']


def _resume(folder: Path) -> list[str]:
    (folder / 'run').mkdir()
    (folder / 'x.pth').rename(folder / 'run/iter_2.pth')
    return ['train', write_config(folder), '--work-dir', 'run', '--resume']


def _pretrained(folder: Path) -> list[str]:
    extra = "model = dict(decode_head=dict(init_cfg=dict(type='Pretrained', checkpoint='x.pth')))\n"
    return ['train', write_config(folder, extra=extra), '--work-dir', 'run']


DOORS: dict[str, Callable[[Path], list[str]]] = {
    'test': lambda folder: ['test', write_config(folder), 'x.pth', '--work-dir', 'run'],
    'merge': lambda folder: ['merge', write_config(folder), 'x.pth', '--out', 'out.pth'],
    'encoder': _encoder,
    'load_from': _load_from,
    'resume': _resume,
    'Pretrained': _pretrained,
}
YAML = {
    'python/object/apply': f'a: !!python/object/apply:os.system ["{TOUCH}"]\n',
    'python/object/new': f'a: !!python/object/new:os.system ["{TOUCH}"]\n',
    'python/name': 'a: !!python/name:os.system\n',
    'python/module': 'a: !!python/module:evil\n',
    'custom_imports': '_base_: rein_tiny_miniscapes\ncustom_imports: {imports: [evil]}\n',
    'base': '_base_: ./evil.py\n',
    'base by name': '_base_: evil\n',
    **{
        f'type of {place.partition(":")[0]}': f'_base_: rein_tiny_miniscapes\n{place}\n'
        for place in (
            f'vis_backends: [{{type: os.system, command: {TOUCH}}}]',
            f'visualizer: {{_delete_: true, type: os.system, command: {TOUCH}}}',
            f'log_processor: {{_delete_: true, type: os.system, command: {TOUCH}}}',
            f'custom_hooks: [{{type: os.system, command: {TOUCH}}}]',
            f'val_evaluator: {{_delete_: true, type: os.system, command: {TOUCH}}}',
            f'model: {{_delete_: true, type: os.system, command: {TOUCH}}}',
            'train_cfg: {type: evil.Loop}',
            'runner_type: evil.Runner',
            'visualizer: {type: evil}',
            'randomness: [[{type: evil}]]',
        )
    },
}


def cases() -> Iterator[Case]:
    """Yields the cases."""
    for door, argv in DOORS.items():
        for payload, write in PAYLOADS.items():

            def prepare(folder: Path, argv=argv, write=write) -> list[str]:
                write(folder / 'x.pth')
                return argv(folder)

            yield Case(f'{door}: {payload}', prepare, says=r'(x|iter_2)\.pth')
    for name, text in YAML.items():
        for command in ('train', 'show'):

            def config(folder: Path, text=text, command=command) -> list[str]:
                (folder / 'evil.py').write_text(EVIL)
                (folder / 'x.yaml').write_text(text)
                return [command, 'x.yaml']

            yield Case(f'{command} YAML: {name}', config, says=r'x\.yaml|type=')
