"""Checkpoints and weights files: read whole, or refused, and no code of theirs runs."""

import argparse
import os
import pickle
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import PosixPath

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from rein_seg.checkpoint import (
    read_checkpoint,
    read_state_dict,
    save_checkpoint,
)
from rein_seg.errors import UserError


class Evil:
    def __reduce__(self):
        return os.system, ('touch hacked',)


def test_checkpoint_round_trip_with_what_mmengine_logs_put_into_it(tmp_path):
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    content = dict(state_dict={'a': torch.ones(2)}, hub=dict(b=buffer, c=np.float32(1.5)))
    save_checkpoint(tmp_path / 'c.pth', content)
    loaded = read_checkpoint(tmp_path / 'c.pth')
    assert torch.equal(loaded['state_dict']['a'], torch.ones(2))
    assert loaded['hub']['b'].mean() == 1.5
    assert loaded['hub']['b'].statistics('max') == 2
    assert HistoryBuffer([3.0], [1]).statistics('mean') == 3  # the class is left alone
    assert loaded['hub']['c'] == 1.5


def test_pickled_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict={'a': torch.ones(1)}, extra=Evil()), 'evil.pth')
    with pytest.raises(UserError, match=r'evil.pth.* is refused: .*pickled code .*system'):
        read_checkpoint('evil.pth')
    assert not (tmp_path / 'hacked').exists()
    with open('plain.pth', 'wb') as file:
        pickle.dump(Evil(), file)
    with pytest.raises(UserError, match='not a file of torch.save'):
        read_checkpoint('plain.pth')


def test_truncated_and_damaged_checkpoints(tmp_path):
    path = tmp_path / 'c.pth'
    torch.save({'state_dict': {'a': torch.randn(1000)}}, path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match='is truncated'):
        read_checkpoint(path)
    middle = content.index(b'data/0') + 500
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    with pytest.raises(UserError, match="is damaged: the checksum of its part '.*data/0'"):
        read_checkpoint(path)
    with pytest.raises(UserError, match='does not exist'):
        read_checkpoint(tmp_path / 'none.pth')


def test_checkpoints_written_with_numpy_1(tmp_path):
    """Their arrays name modules that numpy 2 calls otherwise; official checkpoints have some."""
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    path, old = tmp_path / 'new.pth', tmp_path / 'old.pth'
    torch.save(dict(state_dict={'a': torch.ones(2)}, hub=buffer, score=np.float64(1.5)), path)
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(old, 'w') as copy:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith('data.pkl'):
                assert b'numpy._core.multiarray' in content
                content = content.replace(b'numpy._core.multiarray', b'numpy.core.multiarray')
            copy.writestr(name, content)
    loaded = read_checkpoint(old)
    assert loaded['hub'].mean() == loaded['score'] == 1.5


def test_what_was_read_can_be_written_again(tmp_path):
    torch.save(dict(hub=HistoryBuffer([1.0, 2.0], [1, 1])), tmp_path / 'a.pth')
    torch.save(read_checkpoint(tmp_path / 'a.pth'), tmp_path / 'b.pth')
    assert b'rein_seg' not in (tmp_path / 'b.pth').read_bytes()
    assert read_checkpoint(tmp_path / 'b.pth')['hub'].mean() == 1.5


def test_harmless_things_that_training_scripts_leave(tmp_path):
    extra = dict(
        args=argparse.Namespace(lr=1e-4), out=PosixPath('a/b'), order=np.arange(3, dtype='u2')
    )
    torch.save(dict(model={'a': torch.ones(2)}, **extra), tmp_path / 'c.pth')
    assert read_checkpoint(tmp_path / 'c.pth')['args'].lr == 1e-4
    assert list(read_state_dict(tmp_path / 'c.pth')) == ['a']


def test_threads_read_at_the_same_time(tmp_path):
    torch.save(dict(hub=HistoryBuffer([1.0, 2.0], [1, 1])), tmp_path / 'a.pth')
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda _: read_checkpoint(tmp_path / 'a.pth'), range(200)))
    assert [content['hub'].mean() for content in read] == [1.5] * 200


def test_files_from_before_torch_1_6(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, old = (
        {'state_dict': {'a': torch.randn(1000)}},
        dict(_use_new_zipfile_serialization=False),
    )
    torch.save(content, 'old.pth', **old)
    assert torch.equal(read_state_dict('old.pth')['a'], content['state_dict']['a'])
    half = (tmp_path / 'old.pth').read_bytes()[:2000]
    (tmp_path / 'half.pth').write_bytes(half)
    with pytest.raises(UserError, match="'half.pth' cannot be read .*download it again"):
        read_checkpoint('half.pth')
    torch.save({'a': Evil()}, 'evil.pth', **old)
    with pytest.raises(UserError, match='is refused: .*pickled code .or it is truncated'):
        read_checkpoint('evil.pth')
    assert not (tmp_path / 'hacked').exists()


def test_state_dict_wrappers_are_taken_off(tmp_path):
    for i, wrap in enumerate((lambda s: s, lambda s: {'state_dict': s}, lambda s: {'model': s})):
        torch.save(wrap({'a': torch.ones(1)}), tmp_path / f'{i}.pth')
        assert list(read_state_dict(tmp_path / f'{i}.pth')) == ['a']
    torch.save({'a': 1}, tmp_path / 'n.pth')
    with pytest.raises(UserError, match='holds no tensors by name'):
        read_state_dict(tmp_path / 'n.pth')


class Scripted(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 3).half()
        self.register_buffer('steps', torch.tensor(7))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


class WithSetState(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.ones(2)
        self.training = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.weight

    @torch.jit.export
    def __getstate__(self):
        return self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]):
        self.weight = state[0] * 2
        self.training = state[1]


def test_torchscript_archive_gives_its_state_dict(tmp_path):
    module = Scripted()
    torch.jit.script(module).save(str(tmp_path / 'm.pt'))
    state = read_state_dict(tmp_path / 'm.pt')
    assert set(state) == {'linear.weight', 'linear.bias', 'steps'}
    for name, tensor in module.state_dict().items():
        assert torch.equal(state[name], tensor)
        assert state[name].dtype == tensor.dtype


def test_torchscript_that_would_run_while_loading_is_refused(tmp_path):
    torch.jit.script(WithSetState()).save(str(tmp_path / 'm.pt'))
    with pytest.raises(UserError, match='would run its __setstate__'):
        read_checkpoint(tmp_path / 'm.pt')
    # the compiler takes any white space between the words
    with zipfile.ZipFile(tmp_path / 'm.pt') as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / 'n.pt', 'w') as archive:
        for name, data in content.items():
            archive.writestr(name, data.replace(b'def __setstate__', b'def  __setstate__'))
    with pytest.raises(UserError, match='would run its __setstate__'):
        read_checkpoint(tmp_path / 'n.pt')


def test_damaged_torchscript_is_an_error_of_the_file(tmp_path):
    with zipfile.ZipFile(tmp_path / 'm.pt', 'w') as archive:
        archive.writestr('m/constants.pkl', b'')
        archive.writestr('m/data.pkl', b'nonsense')
    with pytest.raises(UserError, match='cannot be read'):
        read_checkpoint(tmp_path / 'm.pt')
