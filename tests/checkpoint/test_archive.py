"""Archives that readers could read in two ways, and files that are no files."""

import os
import zipfile

import pytest
import torch

from rein_seg.checkpoint import read_checkpoint, read_state_dict
from rein_seg.errors import UserError
from tests.checkpoint.archives import false_offset, rewrite, shadow_directory


@pytest.fixture
def path(tmp_path):
    torch.save(dict(state_dict=dict(weight=torch.arange(6.0))), tmp_path / 'w.pth')
    return tmp_path / 'w.pth'


def renamed(new):
    def change(name, content):
        return [(name, content)] + [(new, b'x')] * name.endswith('/data.pkl')

    return change


@pytest.mark.parametrize(
    ('new', 'says'),
    [
        ('w/DATA.pkl', 'have the same name'),
        ('w/ｄata.pkl', 'have the same name'),
        ('/w/x', 'lies outside'),
        ('w/../x', 'lies outside'),
        ('w\\x', 'lies outside'),
        ('C:/x', 'lies outside'),
        ('other/x', 'more than one folder'),
    ],
)
def test_names(path, new, says):
    rewrite(path, renamed(new))
    with pytest.raises(UserError, match=f'w.pth.* is refused: .*{says}.*safetensors yourself'):
        read_checkpoint(path)


@pytest.mark.parametrize('fault', ['name not UTF-8', 'several disks'])
def test_directories_that_python_itself_fails_on(path, fault):
    data = bytearray(path.read_bytes())
    if fault == 'several disks':  # of the record before the end
        data[data.rindex(b'PK\6\7') + 16] = 2
    else:
        begin = data.rindex(b'PK\1\2')
        data[begin + 9] |= 8  # says that the name is UTF-8
        data[begin + 46] = 0xFF
    path.write_bytes(data)
    with pytest.raises(UserError, match='w.pth.* is (damaged|refused|truncated)'):
        read_checkpoint(path)


@pytest.mark.filterwarnings('ignore:Duplicate name')
def test_two_parts_of_one_name(path):
    rewrite(path, lambda name, content: [(name, content)] * (1 + name.endswith('data.pkl')))
    with pytest.raises(UserError, match='have the same name'):
        read_checkpoint(path)


def test_compressed_parts(path):
    rewrite(path, lambda *part: [part], zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match='is compressed, which torch.save does not write'):
        read_checkpoint(path)


def test_second_directories(path, tmp_path):
    content = path.read_bytes()
    torch.save(dict(a=torch.ones(1)), tmp_path / 'other.pth')
    shadow_directory(path, tmp_path / 'other.pth')
    with pytest.raises(UserError, match='data before its|two directories'):
        read_checkpoint(path)
    path.write_bytes(content + b'after')
    with pytest.raises(UserError, match='truncated|after its directory'):
        read_checkpoint(path)
    for by in (-30, 30):
        path.write_bytes(content)
        with pytest.raises(UserError, match='w.pth'):
            read_checkpoint(false_offset(rewrite(path, lambda *part: [part]), by))


def test_large_archives_have_another_end_record(path):
    with zipfile.ZipFile(path) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, 'w') as archive:
        for name, content in parts:
            with archive.open(name, 'w', force_zip64=True) as part:
                part.write(content)
    assert torch.equal(read_state_dict(path)['weight'], torch.arange(6.0))


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_what_is_no_file(tmp_path, suffix):
    pipe, folder = tmp_path / f'pipe{suffix}', tmp_path / f'folder{suffix}'
    os.mkfifo(pipe)
    folder.mkdir()
    device = tmp_path / f'device{suffix}'
    device.symlink_to('/dev/zero')
    for path, kind in [(pipe, 'a pipe'), (folder, 'a folder'), (device, 'a device')]:
        with pytest.raises(UserError, match=f'is {kind}, expected a file; give the path'):
            read_state_dict(path)
    with pytest.raises(UserError, match='does not exist'):
        read_state_dict(tmp_path / f'none{suffix}')
