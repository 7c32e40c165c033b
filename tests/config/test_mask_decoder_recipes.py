"""The comparisons of mask decoders: a variant has the head, method and hook of its name."""

import pytest

from rein_seg.apis import load_config
from rein_seg.compare.request import read_request
from rein_seg.config.annealing import HOOK
from tests.paths import REPO

HEADS = dict(
    Linear='LinearHead',
    EoMT='EoMTHead',
    EoMT256='EoMTHead',
    PMT='PMTHead',
    Mask2Former='Mask2FormerHead',
)
RECIPES = (
    'compare_mask_decoders_miniscapes',
    'compare_mask_decoders_camvid_to_kitti',
    'tune_mask_decoders_miniscapes',
    'tune_mask_decoders_camvid_to_kitti',
)


@pytest.mark.parametrize('name', RECIPES)
def test_the_variants_are_those_of_their_names(name):
    path = str(REPO / f'configs/{name}.py')
    variants = read_request([path]).peft
    each = 3 if name.startswith('tune') else 1  # rates of a system
    assert len(variants) == 13 * each
    assert len({variant['name'] for variant in variants}) == len(variants)
    for variant in (x for x in variants[::each] if x['type'] == 'Rein'):
        head, method = variant['name'].split('-')[:2]
        assert method == variant['type']
        cfg = load_config(path, cfg_options=variant['options'])
        built = cfg.model.decode_head
        assert built.type == HEADS[head]
        assert built.get('upscale_channels') == (256 if head == 'EoMT256' else None)
        opening = [hook['type'] for hook in cfg.custom_hooks].count(HOOK)
        assert opening == (head in ('EoMT', 'EoMT256', 'PMT'))
        if each == 3:
            assert cfg.val_dataloader.dataset.domain in ('clear', 'day')  # the source alone
            assert cfg.test_dataloader.dataset == cfg.val_dataloader.dataset
