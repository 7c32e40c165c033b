"""Configs by path or by name."""

import pytest

from rein_seg.apis import load_config
from rein_seg.config.find import CONFIGS, find_config, shipped_configs
from rein_seg.errors import UserError


def test_the_package_holds_the_configs_of_this_checkout(repo):
    assert CONFIGS.resolve() == (repo / 'configs').resolve()
    assert shipped_configs() == sorted(path.stem for path in (repo / 'configs').glob('*.py'))


@pytest.mark.parametrize('name', ['rein_tiny_miniscapes', 'rein_tiny_miniscapes.py'])
def test_a_shipped_config_is_found_by_name_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == str(CONFIGS / 'rein_tiny_miniscapes.py')
    cfg = load_config(name)
    assert cfg.work_dir == 'work_dirs/rein_tiny_miniscapes'
    assert cfg.model.backbone.encoder.type == 'TinyViT'  # from a base beside it
    assert cfg.data_root == 'data/miniscapes'  # of the working directory, not of the package


def test_a_file_that_exists_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / 'rein_tiny_miniscapes.py'
    own.write_text('')
    assert find_config('rein_tiny_miniscapes.py') == 'rein_tiny_miniscapes.py'
    assert find_config(str(own)) == str(own)
    assert find_config('rein_tiny_miniscapes') == str(CONFIGS / own.name)
    own.unlink()
    own.mkdir()
    assert find_config('rein_tiny_miniscapes.py') == str(CONFIGS / own.name)


def test_a_wrong_name_gives_the_near_misses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for wrong in ('rein_tiny_miniscape', 'configs/rein_tiny_miniscapes.py'):
        with pytest.raises(UserError, match=f"'{wrong}' does not exist.*did you mean 'rein_tiny_m"):
            find_config(wrong)
    (tmp_path / 'my_run.py').write_text('')
    with pytest.raises(UserError, match="did you mean 'my_run.py'"):
        find_config('my_rum.py')
    with pytest.raises(UserError, match='does not exist.*give a path, or a name such as'):
        find_config('x')
    with pytest.raises(UserError, match='is a folder: give a file'):
        find_config('.')
    for empty in ('', ' ', 'a\0b'):
        with pytest.raises(UserError, match='is no path: give a file, or the name of a shipped'):
            find_config(empty)


def test_a_config_of_ones_own_names_a_shipped_one_as_its_base(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for base in ('rein_tiny_miniscapes', 'rein_tiny_miniscapes.py'):
        (tmp_path / 'my_run.py').write_text(f'_base_ = [{base!r}]\ndata_root = "here"\n')
        cfg = load_config('my_run.py')
        assert cfg.data_root == 'here'
        assert cfg.work_dir == 'work_dirs/my_run'
        assert cfg.model.backbone.peft.type == 'Rein'
    (tmp_path / 'rein_tiny_miniscapes.py').write_text("_base_ = ['./rein_tiny_miniscape.py']")
    with pytest.raises(UserError, match="config 'rein_tiny_miniscape.py' does not exist"):
        load_config('my_run.py')  # the file beside it comes first
