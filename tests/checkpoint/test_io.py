import argparse
import os
import pickle
import zipfile
from pathlib import PosixPath

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from rein_seg.checkpoint import (
    atomic_path,
    load_adapter,
    load_strict,
    read_adapter,
    read_checkpoint,
    read_state_dict,
    save_adapter,
    save_checkpoint,
    tensors_sha256,
)
from rein_seg.errors import UserError

IDENTITY = dict(method={'type': 'LoRA'}, encoder={'name': 'toy', 'weights': 'w'}, num_classes=3)


class Evil:
    def __reduce__(self):
        return os.system, ('touch hacked',)


@pytest.fixture
def adapter(tmp_path):
    path = tmp_path / 'adapter.safetensors'
    torch.manual_seed(0)
    save_adapter(path, nn.Linear(64, 64), IDENTITY)
    return path


def test_atomic_path_keeps_the_old_file_when_writing_fails(tmp_path):
    target = tmp_path / 'a.txt'
    target.write_text('old')
    with pytest.raises(KeyError), atomic_path(target) as temporary:
        temporary.write_text('half')
        raise KeyError
    assert target.read_text() == 'old'
    assert os.listdir(tmp_path) == ['a.txt']
    with atomic_path(target) as temporary:
        temporary.write_text('new')
    assert target.read_text() == 'new'


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


def test_strict_load_reports_coverage_and_loads_nothing_when_it_fails():
    module = nn.Linear(3, 2)
    state = {'weight': torch.ones(2, 3), 'bias': torch.ones(2)}
    report = load_strict(module, state, what='weights', source='x.pth')
    assert report == 'weights from x.pth: 2/2 tensors, 0 unexpected'
    bad = {'weight': torch.zeros(2, 4), 'more': torch.zeros(1)}
    with pytest.raises(UserError) as error:
        load_strict(module, bad, what='weights', source='x.pth')
    for part in ('0/2 tensors, 1 unexpected', 'Missing: bias', 'Unexpected: more', '(2, 4), expec'):
        assert part in str(error.value)
    assert module.weight.min() == 1


def test_sha_depends_on_names_values_and_types_only():
    a = {'x': torch.arange(6.0).reshape(2, 3), 'y': torch.ones(1)}
    assert tensors_sha256(a) == tensors_sha256(dict(reversed(list(a.items()))))
    assert tensors_sha256(a) != tensors_sha256({**a, 'y': torch.zeros(1)})
    assert tensors_sha256(a) != tensors_sha256({**a, 'y': torch.ones(1).half()})
    assert tensors_sha256({'x': torch.ones(2).bfloat16()})


def test_adapter_round_trip(adapter):
    model = nn.Linear(64, 64)
    assert load_adapter(adapter, model, IDENTITY).endswith('2/2 tensors, 0 unexpected')
    torch.manual_seed(0)
    assert torch.equal(model.weight, nn.Linear(64, 64).weight)
    assert read_adapter(adapter).metadata['encoder'] == IDENTITY['encoder']


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        (
            'method',
            {'type': 'Rein'},
            "another PEFT method: it says method.type='LoRA', the config gives 'Rein'",
        ),
        (
            'encoder',
            {'name': 'other', 'weights': 'w'},
            "another encoder: it says encoder.name='toy'",
        ),
        (
            'num_classes',
            19,
            'another number of classes: it says num_classes=3, the config gives 19',
        ),
    ],
)
def test_adapter_of_another_model_is_refused(adapter, key, value, message):
    with pytest.raises(UserError, match=message):
        load_adapter(adapter, nn.Linear(64, 64), {**IDENTITY, key: value})


def test_truncated_and_tampered_adapters(adapter, tmp_path):
    content = adapter.read_bytes()
    adapter.write_bytes(content[:-100])
    with pytest.raises(UserError, match='truncated or damaged'):
        read_adapter(adapter)
    adapter.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match='was changed after it was written'):
        read_adapter(adapter)
    from safetensors.torch import save_file

    save_file({'a': torch.ones(1)}, adapter)
    with pytest.raises(UserError, match='is not an adapter file'):
        read_adapter(adapter)
    with pytest.raises(UserError, match='does not exist'):
        read_adapter(tmp_path / 'none.safetensors')


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
