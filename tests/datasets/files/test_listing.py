"""Files in folders and zips, by name."""

import zipfile

from rein_seg.datasets.files.listing import is_there, list_files, read_bytes


def test_a_zip_with_brackets_in_its_own_name(tmp_path):
    for name in ('a[1].zip', 'a1.zip', 'b?.zip'):
        with zipfile.ZipFile(tmp_path / name, 'w') as file:
            file.writestr('images/0.txt', name)
    for place in ('a[1].zip', 'b?.zip'):
        files = list_files(tmp_path / place)
        assert {name: read_bytes(path) for name, path in files.items()} == {'0.txt': place.encode()}
    assert is_there(tmp_path / 'a[0-9].zip')
    assert not is_there(tmp_path / 'a[2].zip')
