"""Every config loads, names only what exists, is short, and its model builds."""

import re

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.apis import load_config
from rein_seg.config.read import read
from rein_seg.config.tasks import metrics_of
from rein_seg.errors import UserError
from rein_seg.export.count import build_shapes, count, count_table
from rein_seg.models.base import count_parameters
from rein_seg.registry import PEFT_METHODS
from tests.paths import REPO

CONFIGS = sorted((REPO / 'configs').glob('*.py'))
# domains of the test that are no targets: their hospitals are trained on
SCORED_BESIDE = {'polyp_five': {'kvasir', 'cvc612'}}
by_name = pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)


@by_name
def test_config_loads_and_names_exist(path):
    cfg = load_config(str(path))
    assert cfg.work_dir == f'work_dirs/{path.stem}'
    # the classes of a user's own folder are known when it is there
    assert cfg.model.get('num_classes') == cfg.benchmark.get('num_classes')
    for use in ('val', 'test'):
        dataset = cfg[f'{use}_dataloader'].dataset
        for evaluator in metrics_of(cfg[f'{use}_evaluator'], None):
            assert evaluator.protocol == cfg.benchmark.protocol
            task = evaluator.get('task')
            parts = [x for x in dataset.get('datasets', [dataset]) if x.get('task') == task]
            named = {evaluator.get('source'), *(evaluator.get('targets') or [])} - {None}
            named |= SCORED_BESIDE.get(cfg.benchmark.name, set()) if use == 'test' else set()
            assert named == {part.domain for part in parts}


@by_name
def test_leaf_is_short_and_says_how_to_run_it(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 25
    header = [line for line in lines if line.startswith('#')]
    tool = 'compare' if 'comparison' in read(str(path)).content else 'train'
    assert any(f'python tools/{tool}.py configs/{path.name}' in line for line in header)


@by_name
def test_tiny_models_build_and_predict(path):
    cfg = load_config(str(path))
    encoder = cfg.model.backbone.encoder
    if 'init_seed' not in encoder and not str(encoder.get('checkpoint')).startswith('package:'):
        pytest.skip('needs downloaded weights')
    model = MODELS.build(with_classes(cfg.model)).eval()
    taken = cfg.model.backbone.encoder.get('bands') or dict(names=['red', 'green', 'blue'])
    channels = len(taken['names'])
    assert (channels == 5) == ('minibands' in path.stem and 'rgb' not in path.stem)
    with torch.no_grad():
        if model.task == 'images':
            result = model.predict(torch.randn(1, 3, 64, 64))[0]
            assert 'embedding' in result or result.pred_score.shape == (model.num_classes,)
            return
        logits = model.encode_decode(torch.randn(1, channels, 64, 128), [dict(img_shape=(64, 128))])
    assert logits.shape[:2] == (1, model.out_channels)


@by_name
def test_every_model_builds_without_weights_and_takes_its_crops(path):
    cfg = load_config(str(path))
    cfg.model = with_classes(cfg.model)
    model = build_shapes(cfg)
    # a text tower from a file that is there keeps its values: its sizes are read from them
    own = (p for name, p in model.named_parameters() if not name.startswith('text.tower.'))
    assert all(parameter.is_meta for parameter in own)
    if model.task == 'images':
        steps = cfg.train_dataloader.dataset.pipeline
        crop = next((step for step in steps if 'Crop' in step.type), dict(scale=(72, 96)))
        side = next(crop[key] for key in ('scale', 'crop_size', 'size') if key in crop)
        model.backbone.check_size((side, side) if isinstance(side, int) else side)
        return
    sizes = [cfg.model.crop_size]
    if cfg.model.test_cfg.mode == 'slide':
        sizes.append(cfg.model.test_cfg.crop_size)
    for size in sizes:
        model.backbone.check_size(size)


def with_classes(model):
    """Returns the config of a model, with three classes where a folder would name them."""
    return model if model.get('num_classes') else {**model, 'num_classes': 3}


FULL_SIZE = [
    path
    for path in CONFIGS
    if re.fullmatch('rein_.*_(gtav|1024|acdc)', path.stem)
    # with a head that takes no queries, another method is a config of its own
    and 'link_to_queries' not in path.read_text()
]


@pytest.mark.parametrize('path', FULL_SIZE, ids=lambda p: p.stem)
def test_recipes_take_another_method_by_option(path):
    cfg = load_config(str(path), cfg_options={'model.backbone.peft.type': 'LoRA'})
    assert build_shapes(cfg).backbone.peft.rank == PEFT_METHODS.get('LoRA')().rank


def test_one_gpu_command_has_the_batch_of_the_schedule():
    for path in CONFIGS:
        cfg, text = load_config(str(path)), path.read_text()
        if 'dist_train.sh' in text:
            assert f'batch_size={4 * cfg.train_dataloader.batch_size}' in text


def test_swapping_the_method_by_option_needs_nothing_else():
    for method in ('LoRA', 'Frozen', 'Full'):
        options = {'model.backbone.peft.type': method}
        cfg = load_config(str(CONFIGS[0].parent / 'rein_tiny_miniscapes.py'), cfg_options=options)
        model = MODELS.build(cfg.model)
        assert type(model.backbone.peft).__name__ == method
        assert not hasattr(model.decode_head, 'query_proj')


@by_name
def test_data_root_moves_every_data_set(path):
    cfg = load_config(str(path), cfg_options={'data_root': 'elsewhere'})
    for dataset in (cfg.train_dataloader.dataset, cfg.val_dataloader.dataset):
        parts = dataset.get('datasets', [dataset])
        # drawings beside real images keep their own folder: that of the images may be read-only
        drawn = {p.type for p in parts if p.get('data_root') == 'data/miniscapes'}
        assert {p.data_root for p in parts if p.type not in drawn} <= {'elsewhere'}
        assert drawn <= ({'MiniCamVidDataset'} if 'to_real' in path.stem else set())


def test_data_root_leaves_alone_a_data_set_with_its_own():
    path = str(CONFIGS[0].parent / 'rein_dinov2_gtav.py')
    options = {'data_root': 'x', 'train_dataloader.dataset.data_root': 'y'}
    cfg = load_config(path, cfg_options=options)
    assert cfg.train_dataloader.dataset.data_root == 'y'
    assert {d.data_root for d in cfg.val_dataloader.dataset.datasets} == {'x'}


def test_a_partial_test_cfg_keeps_the_protocol():
    path = str(CONFIGS[0].parent / 'rein_tiny_camvid.py')
    cfg = load_config(path, cfg_options={'model.test_cfg.batch_windows': 2})
    assert cfg.model.test_cfg == {**cfg.benchmark.test_cfg, 'batch_windows': 2}
    assert cfg.model.test_cfg.mode == 'slide'


def test_max_iters_reaches_loop_and_schedule():
    path = str(CONFIGS[0].parent / 'rein_tiny_miniscapes.py')
    cfg = load_config(path, cfg_options={'max_iters': 50})
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.val_interval) == (50, 50)
    assert [s.end for s in cfg.param_scheduler] == [20, 50]


def test_data_root_that_reaches_nothing_is_refused(tmp_path):
    """The config that a run leaves behind loads again, but its data sets have their roots."""
    path = str(tmp_path / 'rein_dinov2_gtav.py')
    load_config(str(CONFIGS[0].parent / 'rein_dinov2_gtav.py')).dump(path)
    assert load_config(path).train_dataloader.dataset.data_root == 'data'
    with pytest.raises(UserError, match="data_root='x' reaches no data set"):
        load_config(path, cfg_options={'data_root': 'x'})


def test_documents_have_no_dead_link_and_nothing_to_fill_in():
    root = REPO
    for page in [*root.glob('*.md'), *root.glob('docs/**/*.md')]:
        text = page.read_text()
        assert not re.search(r'@[A-Z]+@', text), page
        for link in re.findall(r'\]\(([^)#:]+)\)', text):
            assert (page.parent / link).exists(), f'{page}: {link}'


def test_gtav_needs_its_weights():
    path = str(CONFIGS[0].parent / 'rein_dinov2_gtav.py')
    with pytest.raises(UserError, match="'checkpoints/dinov2_vitl14_pretrain.pth' does not exist"):
        MODELS.build(load_config(path).model)


# Published numbers of parameters: method, neck and head, frozen; None is not published. They count
# DINOv2's final norm and mask token (3 C values), which our encoder lacks: nothing uses them.
PUBLISHED = {
    'rein_dinov2_small_gtav': (684_033, None, 21_993_216 - 3 * 384),
    'rein_dinov2_base_gtav': (1_741_569, None, 86_453_760 - 3 * 768),
    'rein_dinov2_gtav': (2_990_081, 20_579_796, 304_199_680 - 3 * 1024),
    'rein_dinov2_giant_gtav': (6_359_041, None, None),
    'rein_eva02_gtav': (2_990_081, 20_579_796, None),
    'rein_clip_gtav': (2_990_081, None, None),
    'rein_convnext_gtav': (8_289_156, None, None),
    'rein_resnet50_gtav': (13_187_588, None, None),
    # less the neck
    'rein_sam_gtav': (3_892_481, None, 637_026_048 - 918_528),
    # Conv-LoRA's table: 4.02, 4.00 and 3.51 M trained in ViT-H; 3.625 and 3.818 M in B and L
    'conv_lora_sam_huge_polyp': (514_560, 4_020_096 - 514_560, None),
    'lora_sam_huge_polyp': (491_520, 3_997_056 - 491_520, None),
    'frozen_sam_huge_polyp': (0, 3_505_536, None),
    'conv_lora_sam_base_polyp': (119_232, 3_505_536, None),
    'conv_lora_sam_large_polyp': (312_192, 3_505_536, None),
    'frozen_dinov2_gtav': (0, 20_565_204, 304_199_680 - 3 * 1024),
    # from the formulas of the papers, in full digits
    'bitfit_dinov2_gtav': (11 * 24 * 1024 + 1024, None, None),
    'lora_qv_dinov2_gtav': (786_432, None, None),
    'dora_dinov2_gtav': (835_584, None, None),
    'vera_dinov2_gtav': (61_440, None, None),
    'pego_dinov2_gtav': (1_572_864, None, None),
    'soma_dinov2_gtav': (4_866_048, None, None),
    'svf_dinov2_gtav': (98_304, None, None),
    'ssf_dinov2_gtav': (22 * 24 * 1024 + 2 * 1024, None, None),
    # DuAT's 24.97 M without the 17 382 that its head never uses
    'full_duat_pvt_v2_b2_polyp': (24_849_856, 118_409 - 17_382, 0),
    # ZegCLIP's prompts, their linear and norm; of its head 13 136 896 the parts that train
    'zegclip_clip_base_voc': (684_288, 8_039_168 - 684_288, None),
    'zegclip_clip_base_coco_stuff': (1_513_728, 8_868_608 - 1_513_728, None),
    'full_dinov2_gtav': (304_199_680 - 3 * 1024, 20_565_204, 0),
}


@pytest.mark.parametrize('name', PUBLISHED)
def test_sizes_are_the_published_ones(name):
    counts = count(load_config(str(CONFIGS[0].parent / f'{name}.py')))
    found = (counts['method'], counts['neck_and_head'], counts['frozen'])
    expected = [want or have for want, have in zip(PUBLISHED[name], found, strict=True)]
    assert list(found) == expected
    assert counts['trainable'] == found[0] + found[1]


@pytest.mark.parametrize(
    ('name', 'size'),
    [('zegclip_clip_base_voc', 13_821_184), ('zegclip_clip_base_coco_stuff', 14_650_624)],
)
def test_the_official_layout_of_zegclip_has_the_published_size(name, size):
    path, options = (
        str(CONFIGS[0].parent / f'{name}.py'),
        {'model.decode_head.official_layout': True},
    )
    plain, official = (count(load_config(path, cfg_options=given)) for given in ({}, options))
    assert official['trainable'] == plain['trainable']
    # officially counted as trained, too, though no gradient reaches them
    assert official['trainable'] + official['frozen'] - plain['frozen'] == size


def test_counts_without_weights_are_those_of_the_model():
    cfg = load_config(str(CONFIGS[0].parent / 'rein_tiny_miniscapes.py'))
    counts = count(cfg)
    assert counts == count_parameters(MODELS.build(cfg.model))
    table = count_table({'tiny': counts}).splitlines()
    assert table[0].startswith('| config | method |')
    share = 100 * counts['method'] / counts['frozen']
    assert table[2].startswith(f'| tiny | {counts["method"]:,} |')
    assert table[2].endswith(f'| {share:.2f} % |')


def test_recipe_of_the_benchmark():
    cfg = load_config(str(CONFIGS[0].parent / 'rein_dinov2_gtav.py'))
    assert cfg.benchmark.protocol == 'rein512'
    assert (cfg.train_dataloader.batch_size, cfg.train_cfg.max_iters) == (4, 40000)
    assert (cfg.train_cfg.val_interval, cfg.randomness.seed) == (10000, 42)
    checkpoint = cfg.default_hooks.checkpoint
    assert (checkpoint.interval, checkpoint.max_keep_ckpts) == (4000, 3)
    resize, crop = cfg.train_dataloader.dataset.pipeline[2:4]
    assert (resize.scales[0], resize.scales[-1], len(resize.scales)) == (256, 1024, 16)
    assert (tuple(crop.crop_size), crop.cat_max_ratio) == ((512, 512), 0.75)
    assert cfg.model.test_cfg.stride == (341, 341)
    wide = load_config(str(CONFIGS[0].parent / 'rein_dinov2_gtav_1024.py'))
    assert wide.model.backbone.encoder.img_size == 1024
    assert wide.optim_wrapper.optimizer.lr == 6e-5
    assert wide.optim_wrapper.paramwise_cfg == cfg.optim_wrapper.paramwise_cfg
    assert wide.model.test_cfg.stride == (683, 683)


def test_several_methods_in_one_config(tmp_path):
    base = CONFIGS[0].parent / 'lora_tiny_miniscapes.py'
    leaf = tmp_path / 'both.py'
    text = "_base_ = [{!r}]\nmodel = dict(backbone=dict(peft=[dict(type='LoRA'), dict(type={!r})]))"
    leaf.write_text(text.format(str(base), 'BitFit'))
    model = build_shapes(load_config(str(leaf)))
    assert [type(m).__name__ for m in model.backbone.peft.methods] == ['LoRA', 'BitFit']
    leaf.write_text(text.format(str(base), 'BitFt'))
    with pytest.raises(UserError, match=r"backbone.peft.1.type='BitFt'.*did you mean 'BitFit'"):
        load_config(str(leaf))
    leaf.write_text(f'_base_ = [{str(base)!r}]\nmodel = dict(backbone=dict(peft=[]))')
    with pytest.raises(
        UserError, match=r'backbone.peft=\[\]: expected a dict with a type or a list, not empty'
    ):
        load_config(str(leaf))
