"""Parts of a config for scores of a frozen encoder."""

import pytest
from mmengine.config import Config

from rein_seg.apis import load_config
from rein_seg.errors import UserError
from rein_seg.pretrain.config_parts import encoder_config, validation_sets


def config(**encoder):
    return Config(dict(model=dict(backbone=dict(encoder=encoder))))


def test_another_source_of_weights_takes_the_place_of_all_sources():
    cfg = config(type='CLIPViT', checkpoint='a.pt', checkpoint_url='https://b.org/a.pt')
    assert encoder_config(cfg, random=False, checkpoint=None) == cfg.model.backbone.encoder
    # a file that is missing must not be replaced by a download of the config's
    own = encoder_config(cfg, random=False, checkpoint='own.pt')
    assert own == dict(type='CLIPViT', checkpoint='own.pt')
    assert encoder_config(cfg, random=True, checkpoint=None) == dict(type='CLIPViT', init_seed=0)


def test_a_config_without_an_encoder_is_refused():
    with pytest.raises(UserError, match='no model.backbone.encoder: give one of'):
        encoder_config(Config(dict(model=dict())), random=False, checkpoint=None)


def test_a_model_of_whole_images_has_no_classes_of_pixels():
    cfg = load_config('lora_tinyclip_minivehicles')
    with pytest.raises(UserError, match="'PEFTImageModel' gives one result .* of a segmentor"):
        validation_sets(cfg, source_only=False)
