"""Official Rein checkpoints: recognised, mapped, refused in words where they do not fit."""

import pytest
import torch

from rein_seg.checkpoint import is_official, load_checkpoint, read_checkpoint, to_official
from rein_seg.checkpoint.official import from_official
from rein_seg.errors import UserError
from tests.checkpoint import official_model

HEAD = {'decode_head.cls_embed.weight': torch.ones(20, 4)}


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    return official_model.write(tmp_path_factory.mktemp('official'))


def load(model, path):
    return load_checkpoint(read_checkpoint(path), model, source=path)


def changed(path, folder, change):
    """Writes a copy of an official file after ``change`` was applied to its state dict."""
    content = read_checkpoint(path)
    change(content['state_dict'])
    torch.save(content, folder / 'changed.pth')
    return str(folder / 'changed.pth')


def test_recognised_by_its_tokens():
    assert is_official({'backbone.reins.scale': torch.ones(())})
    assert not is_official({'backbone.peft.stages.0.scale': torch.ones(())})


@pytest.mark.parametrize('stages', [1, 4])
def test_names_there_and_back(stages):
    state = dict(HEAD)
    for i in range(stages):
        prefix = f'backbone.reins.{i}.' if stages > 1 else 'backbone.reins.'
        state[prefix + 'scale'] = torch.tensor(float(i))
        state[prefix + 'merge.bias'] = torch.full((2,), float(i))
    content = from_official(state)
    assert not content.encoder
    assert content.tensors[f'backbone.peft.stages.{stages - 1}.scale'] == stages - 1
    back = to_official(content.tensors)
    assert list(back) == list(state)
    assert all(back[name] is state[name] for name in state)


def test_no_official_place_for_other_methods_heads_and_necks():
    token = {'backbone.peft.stages.0.scale': torch.ones(())}
    for state in (HEAD, token):
        with pytest.raises(UserError, match='another method or head has no place in it'):
            to_official(state)
    with pytest.raises(UserError, match="no place for 'neck.weight'"):
        to_official({**token, **HEAD, 'neck.weight': torch.ones(1)})


def test_loads_with_a_coverage_report_and_the_same_values(files):
    model = official_model.build(files['encoder'])
    report = load(model, files['adapter'])
    adapter, _ = official_model.split()
    assert (
        f'official Rein checkpoint from {files["adapter"]}: {len(adapter)}/{len(adapter)}' in report
    )
    back = to_official(model.state_dict())
    assert set(back) == set(adapter)
    assert all(torch.equal(back[name], adapter[name]) for name in adapter)


def test_whole_file_is_compared_with_the_encoder(files, tmp_path):
    model = official_model.build(files['encoder'])
    assert load(model, files['whole']).endswith('encoder tensors equal the loaded ones')
    other = changed(
        files['whole'], tmp_path, lambda s: s['backbone.blocks.2.attn.qkv.weight'].add_(0.01)
    )
    with pytest.raises(UserError, match=r'backbone in the file is not .*layers.2.attn.qkv.weight'):
        load(model, other)
    missing = changed(files['whole'], tmp_path, lambda s: s.pop('backbone.blocks.1.ls1.gamma'))
    with pytest.raises(UserError, match="backbone in the file is not the config's 'tiny'"):
        load(model, missing)


def test_encoder_of_another_size_in_the_file(files, tmp_path):
    def shrink(state):
        for name in [n for n in state if n.startswith('backbone.blocks.3.')]:
            del state[name]

    with pytest.raises(UserError, match=r"not the config's 'tiny': .*3 blocks"):
        load(official_model.build(files['encoder']), changed(files['whole'], tmp_path, shrink))


def test_random_encoder_is_refused(files):
    model = official_model.build(None, encoder=dict(init_seed=0))
    with pytest.raises(UserError, match='official file in model.backbone.encoder.checkpoint'):
        load(model, files['adapter'])
    with pytest.raises(UserError, match='backbone in the file is not'):
        load(model, files['whole'])


def test_missing_encoder_file_says_what_to_do(files, tmp_path):
    words = r"none.pth' does not exist; download it as docs/reference/weights"
    with pytest.raises(UserError, match=words):
        official_model.build(str(tmp_path / 'none.pth'))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_classes=19), 'made for 5 classes, the config has num_classes=19'),
        (dict(num_tokens=10), r'num_tokens=8, the config gives 10 \(stage 0\)'),
        (dict(rank=2), 'has rank=4, the config gives 2'),
        (dict(rank=0), 'has rank=4, the config gives 0'),
        (dict(head=dict(type='LinearHead')), 'heads/mask2former.py'),
    ],
)
def test_sizes_are_refused_in_words(files, options, message):
    with pytest.raises(UserError, match=message):
        load(official_model.build(files['encoder'], **options), files['adapter'])


def test_another_width_depth_and_stage_count(files, tmp_path):
    model = official_model.build(files['encoder'])

    def pad(state):
        name = 'backbone.reins.learnable_tokens_b'
        state[name] = torch.ones(4, 4, 64)

    with pytest.raises(UserError, match='has width=64, the config gives 32'):
        load(model, changed(files['adapter'], tmp_path, pad))

    def deepen(state):
        name = 'backbone.reins.learnable_tokens_a'
        state[name] = torch.ones(24, 8, 4)

    with pytest.raises(UserError, match='has blocks=24, the config gives 4'):
        load(model, changed(files['adapter'], tmp_path, deepen))

    def stage(state):
        for name in [n for n in state if n.startswith('backbone.reins.')]:
            tensor = state.pop(name)
            for i in range(2):
                state[name.replace('reins.', f'reins.{i}.')] = tensor

    with pytest.raises(UserError, match='has Rein in 2 stages, the encoder of the config has 1'):
        load(model, changed(files['adapter'], tmp_path, stage))


def test_another_method_and_a_missing_tensor(files, tmp_path):
    lora = official_model.config(files['encoder'])
    lora['backbone']['peft'] = dict(type='LoRA')
    with pytest.raises(UserError, match="the config's method is LoRA: set .*type='Rein'"):
        load(official_model.MODELS.build(lora), files['adapter'])
    part = changed(files['adapter'], tmp_path, lambda s: s.pop('decode_head.level_embed.weight'))
    with pytest.raises(UserError, match='Missing: decode_head.level_embed.weight'):
        load(official_model.build(files['encoder']), part)
    headless = changed(files['adapter'], tmp_path, lambda s: s.pop('decode_head.cls_embed.weight'))
    with pytest.raises(UserError, match='holds no Mask2Former head'):
        load(official_model.build(files['encoder']), headless)


def test_query_linears_without_a_link_are_left_out_and_said(files, tmp_path):
    # a head that learns its queries: what official training without the link would have saved
    def unlink(state):
        width = len(state['decode_head.querys2feat.bias'])
        for name in ('weight', 'bias'):
            del state[f'decode_head.querys2feat.{name}']
        state['decode_head.query_embed.weight'] = torch.ones(8, width)
        state['decode_head.query_feat.weight'] = torch.ones(8, width)

    model = official_model.build(files['encoder'], link_to_queries=False)
    report = load(model, changed(files['adapter'], tmp_path, unlink))
    for name in ('transform.weight', 'transform.bias', 'merge.weight', 'merge.bias'):
        assert f'stages.0.{name}' in report.split('left out, not used by this config: ')[1]


def test_learned_scale_into_a_fixed_one(files, tmp_path):
    model = official_model.build(files['encoder'], zero_init=True)
    with pytest.raises(UserError, match='has a learned scale .* leave zero_init out'):
        load(model, files['adapter'])
    fixed = changed(files['adapter'], tmp_path, lambda s: s['backbone.reins.scale'].fill_(1.0))
    assert 'left out, not used by this config: stages.0.scale' in load(model, fixed)
