"""TorchScript archives give tensors, and nothing of them runs."""

import os
import pickle
import zipfile

import pytest
import torch
from torch import nn

from rein_seg.checkpoint import read_state_dict
from rein_seg.errors import UserError
from tests.checkpoint.archives import rewrite

MARKER = 'EXECUTED'


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 3).half()
        self.tied = self.linear
        self.register_buffer('table', torch.arange(12.0).view(3, 4).t())
        self.register_buffer('empty', torch.zeros(0, 2))
        self.sizes = [1, 2]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


class Tree(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.scale = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return x


@pytest.fixture
def path(tmp_path):
    module = Tree()
    torch.jit.script(module).save(str(tmp_path / 'm.pt'))
    return tmp_path / 'm.pt'


@pytest.fixture
def evil(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Evil:
        def __reduce__(self):
            return os.system, (f'touch {MARKER}',)

    yield Evil()
    assert not (tmp_path / MARKER).exists()


def with_pickle(path, content):
    return rewrite(path, lambda name, old: [(name, content if name.endswith('/data.pkl') else old)])


def test_tensors_of_nested_modules(tmp_path):
    module = Tree()
    torch.jit.script(module).save(str(tmp_path / 'm.pt'))
    state = read_state_dict(tmp_path / 'm.pt')
    expected = module.state_dict()
    assert state.keys() == expected.keys()
    for name, tensor in expected.items():
        assert state[name].dtype == tensor.dtype
        assert torch.equal(state[name], tensor)


def test_a_code_folder_in_other_letters(path, evil):
    """Its code would run in a reader that does not mind the case of names."""
    rewrite(path, lambda name, old: [(name.replace('/code/', '/CODE/'), old)])
    assert 'scale' in read_state_dict(path)  # nothing of the code is needed


@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_a_pickled_call(path, evil, protocol):
    with_pickle(path, pickle.dumps(evil, protocol))
    with pytest.raises(UserError, match='is refused: loading it would run posix.system'):
        read_state_dict(path)


@pytest.mark.parametrize(
    'code',
    [
        b'cos\nsystem\n(S"touch EXECUTED"\ntR.',
        b'(S"touch EXECUTED"\nios\nsystem\n.',
        b'cbuiltins\ngetattr\n(cos\nsystem\nS"__call__"\ntR.',
        b'c__torch__\nM\n)\x81cos\nsystem\nb.',
        b'ctorch._utils\n_rebuild_tensor_v2\n(cos\nsystem\nK\x00))tR.',
    ],
)
def test_other_ways_to_name_a_call(path, evil, code):
    with_pickle(path, code)
    with pytest.raises(UserError, match=r'm\.pt.* is refused'):
        read_state_dict(path)


@pytest.mark.parametrize(
    'code',
    [
        b'',
        b'.',
        b'nonsense',
        b'K\x01.',
        b'N(K\x01r\xff\xff\xff\x7f.',  # a memo of 2^31 places
        b'X\xff\xff\xff\x7fabc.',  # a text of 2 GiB
        b'(' * 100_000,
        b'c__torch__\nM\n)\x81}S"x"\nh\x00sb.',
    ],
)
def test_damaged_pickles(path, code):
    with_pickle(path, code)
    with pytest.raises(UserError, match=r'm\.pt'):
        read_state_dict(path)


def test_a_module_inside_itself(path):
    module = b'c__torch__\nM\n)\x81q\x00}S"x"\nh\x00sb.'
    with_pickle(path, module)
    with pytest.raises(UserError, match='modules are more than 200 deep'):
        read_state_dict(path)


def test_modules_that_multiply(path):
    """Forty modules that each hold the next twice name 2^40 tensors."""
    levels = b''.join(
        b'c__torch__\nM\n)\x81}(S"a"\nh%cS"b"\nh%cubq%c0' % (n, n, n + 1) for n in range(1, 40)
    )
    leaf = b'c__torch__\nM\n)\x81}bq\x010'
    with_pickle(path, leaf + levels + b'h\x28.')
    with pytest.raises(UserError, match='or more than 20000'):
        read_state_dict(path)


def test_tensors_beyond_their_storage(path):
    rewrite(path, lambda name, old: [(name, old[:4] if '/data/' in name else old)])
    with pytest.raises(UserError, match='reaches beyond its'):
        read_state_dict(path)


def test_a_structure_that_inflates(path):
    rewrite(
        path,
        lambda name, old: [(name, bytes(1 << 24) if name.endswith('/data.pkl') else old)],
        zipfile.ZIP_DEFLATED,
    )
    with pytest.raises(UserError, match='is compressed'):
        read_state_dict(path)
