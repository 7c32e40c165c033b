"""Official files of dual-modality prompts: joined, loaded, checked in words."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.checkpoint import load_checkpoint, read_checkpoint
from rein_seg.errors import UserError
from rein_seg.models.cavpt_file import PARTS, join_files
from tests.encoders.tiny import ENCODERS

TOWER = dict(init_seed=0, width=16, layers=1, heads=2, words=['a', 'car', 'road', 'sky'])


def build(classes=('road', 'sky'), peft=None, text=None, tower=None, head='CAVPTHead'):
    method = dict(type='CAVPT', num_static=3, num_learned=2, **(peft or {}))
    prompt = dict(type='CoOp', num_context=4, fixed_template='a {}', **(text or {}))
    return MODELS.build(
        dict(
            type='PEFTImageModel',
            num_classes=len(classes),
            backbone=dict(
                type='PEFTBackbone',
                encoder=ENCODERS['clip_joint'],
                peft=method if head == 'CAVPTHead' else dict(type='Frozen'),
            ),
            text=dict(classes=list(classes), tower={**TOWER, **(tower or {})}, **prompt),
            head=dict(type=head),
        )
    )


@pytest.fixture(scope='module')
def official():
    """The three parts of a model, with other values, as their training writes them."""
    model = build()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for param in (*model.backbone.peft.parameters(), model.text.ctx):
            param.copy_(torch.randn(param.shape, generator=generator))
    text, table = model.text, model.text.tower.token_embedding
    names = torch.nn.functional.pad(text.sequences[:, 5:], (0, 10))
    return {
        'prompt_learner': {
            'ctx': text.ctx.data,
            'token_prefix': table(text.sequences[:, :1]).detach(),
            'token_suffix': table(names).detach(),
        },
        **{part: below(model.backbone.peft, part.rpartition('.')[2]) for part in PARTS[1:]},
    }


def below(module, name):
    return {k: v.clone() for k, v in module.get_submodule(name).state_dict().items()}


@pytest.fixture
def state(official, tmp_path):
    for part, tensors in official.items():
        (tmp_path / part).mkdir()
        old = {name: torch.zeros_like(x) for name, x in tensors.items()}
        for epoch, content in ((9, old), (60, tensors)):
            saved = dict(state_dict=content, epoch=epoch, optimizer=None, val_result=None)
            torch.save(saved, tmp_path / part / f'model.pth.tar-{epoch}')
    return read_checkpoint(join_files(tmp_path, tmp_path / 'joined.pth'))


def load(state, model):
    return load_checkpoint(state, model, source='joined.pth')


def test_all_prompts_of_the_last_epoch_are_loaded(state, official):
    model = build()
    report = load(state, model)
    assert 'official CAVPT checkpoint from joined.pth: 13/13 tensors, 0 unexpected' in report
    assert 'left out, not used: prompt_learner.token_prefix, prompt_learner.token_suffix' in report
    assert 'classfiers' not in report
    assert torch.equal(model.text.ctx, official['prompt_learner']['ctx'])
    for part in PARTS[1:]:
        own = below(model.backbone.peft, part.rpartition('.')[2])
        assert own.keys() == official[part].keys()
        assert all(torch.equal(own[name], x) for name, x in official[part].items())


@pytest.mark.parametrize('classes', [('sky', 'road'), ('road', 'sky', 'car')])
def test_classifiers_of_other_classes_are_left_out_and_named(state, classes):
    model = build(classes)
    before = model.backbone.peft.extractor.classfiers[0].weight.clone()
    assert 'image_encoder.transformer.extractor.classfiers.0.weight' in load(state, model)
    assert torch.equal(model.backbone.peft.extractor.classfiers[0].weight, before)


def test_frozen_parts_of_a_whole_model_are_no_surprise_and_others_are(state):
    whole = {'logit_scale': torch.ones(()), 'text_encoder.ln_final.bias': torch.ones(3)}
    tensors = {**state['state_dict'], **whole}
    assert '13/13' in load({'state_dict': tensors}, build())
    with pytest.raises(UserError, match='Unexpected: surprise'):
        load({'state_dict': {**tensors, 'surprise': torch.ones(1)}}, build())


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(head='TextImageHead'), 'the config has Frozen and CoOp: take a config such as'),
        (dict(tower=dict(init_seed=1)), 'was trained with another CLIP'),
        (dict(tower=dict(width=32)), 'was trained with another CLIP'),
        (
            dict(peft=dict(aware_blocks=2)),
            r'num_static=3, the config gives 0: set model.backbone.peft.num_static=3',
        ),
    ],
)
def test_models_of_another_kind_are_refused(state, options, message):
    with pytest.raises(UserError, match=message):
        load(state, build(**options))


def test_another_number_of_vectors_is_named(state):
    model = build()
    model.text.num_context = 8
    with pytest.raises(UserError, match=r'num_context=4, the config gives 8: set model.text'):
        load(state, model)


def test_a_missing_part_is_named(official, tmp_path):
    (tmp_path / 'prompt_learner').mkdir()
    torch.save(dict(state_dict=official['prompt_learner']), tmp_path / 'prompt_learner/model.pth')
    with pytest.raises(UserError, match="has no file of 'prompt_learner': expected"):
        join_files(tmp_path, tmp_path / 'joined.pth')
