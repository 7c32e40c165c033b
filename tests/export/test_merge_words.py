"""A method is merged into the image tower of a model that reads names; its text stays."""

import numpy as np
import pytest
from mmseg.registry import MODELS

import rein_seg
from rein_seg.apis import init_model, predict
from rein_seg.checkpoint import read_adapter, read_state_dict, save_adapter
from rein_seg.export.merge import merge
from rein_seg.run.results import adapter_metadata
from tests.inference.tiny_adapter import pixels
from tests.peft.build import move
from tests.run.tiny_run import tiny_config
from tests.run.words import extra, write_towers


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The config, its adapter, and its prediction of an image."""
    folder = tmp_path_factory.mktemp('merge_words')
    cfg = tiny_config(folder, extra=extra(write_towers(folder / 'towers.safetensors')))
    model = MODELS.build(cfg.model).eval()
    move(model.backbone)
    metadata = adapter_metadata(cfg, model, scores={}, config=cfg.pretty_text)
    save_adapter(folder / 'adapter.safetensors', model, metadata)
    built = init_model(cfg, str(folder / 'adapter.safetensors'), device='cpu')
    return cfg, folder / 'adapter.safetensors', predict(built, pixels(64, 128))


def test_the_merged_file_holds_both_towers(trained, tmp_path):
    cfg, adapter, before = trained
    made = merge(cfg, str(adapter), str(tmp_path / 'merged.safetensors'))
    merged, towers = (
        read_state_dict(made.encoder),
        read_state_dict(adapter.parent / 'towers.safetensors'),
    )
    assert merged.keys() == towers.keys()
    changed = [name for name, tensor in towers.items() if not np.array_equal(tensor, merged[name])]
    assert changed and all(name.startswith('visual.') for name in changed)
    text = read_adapter(made.adapter).metadata['text']
    assert text == read_adapter(adapter).metadata['text']
    again = init_model(str(made.config), str(made.adapter), device='cpu')
    assert (predict(again, pixels(64, 128)) == before).mean() > 0.999
    other = rein_seg.load(made.adapter, device='cpu', classes='road, pond')
    assert other.predict(pixels()).map.max() < 2
