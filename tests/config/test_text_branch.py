"""The names, words and files of a text branch are checked before a run begins."""

import pytest

from rein_seg.apis import train
from rein_seg.errors import UserError
from tests.run.tiny_run import tiny_config
from tests.text.towers import TOWER


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        (dict(tower=TOWER), "text 'sidewalk': the text tower does not know the word 'sidewalk'"),
        (dict(tower=dict(checkpoint='none.pt')), "weights file 'none.pt' does not exist"),
        (dict(file='none.safetensors'), "'none.safetensors' does not exist"),
        (dict(names=dict(raod=['street'])), "names names 'raod', which is no class; did you mean"),
        (dict(templates=['a road']), 'expected a sentence with one {} for the name'),
    ],
)
def test_a_run_does_not_begin(text, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = tiny_config(tmp_path, model__text=dict(type='ClassTable', **text))
    with pytest.raises(UserError, match=words):
        train(cfg)
    assert not [path for path in (tmp_path / 'run').rglob('*') if path.name != '.lock']
