"""A segmentor of several tasks: whose labels and words reach which head, and what it refuses."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.registry import describe_method
from tests.models.tiny import LINEAR, samples

TASKS = dict(
    streets=dict(classes=['road', 'sky', 'car', 'bus']), road=dict(classes=['rest', 'road'])
)
TOWER = dict(init_seed=0, width=16, layers=1, heads=2, dims=12,
             words=['a', 'photo', 'of', 'road', 'sky', 'car', 'bus', 'rest'])  # fmt: skip
TABLE = dict(type='ClassTable', tower=TOWER)
LV = dict(
    neck=dict(type='LVAdapter', factors=(2, 1, 1, 0.5), out_channels=16),
    text=TABLE,
    decode_head=dict(type='FPNHead', feature_strides=[4, 8, 8, 16], channels=8,
                     norm_cfg=dict(type='GN', num_groups=4), dropout_ratio=0.0),
    auxiliary_head=dict(type='AlignmentHead'),
)  # fmt: skip


def build(tasks=TASKS, peft=None, **options):
    torch.manual_seed(0)
    backbone = dict(
        type='PEFTBackbone',
        encoder=dict(type='TinyViT', init_seed=0),
        peft=peft or dict(type='Frozen'),
    )
    cfg = dict(type='MultiTaskSegmentor', backbone=backbone, tasks=tasks, decode_head=LINEAR)
    return MODELS.build({**cfg, **options})


def batch(*tasks):
    torch.manual_seed(1)
    made = samples(len(tasks), 32, 64)
    for sample, task in zip(made, tasks, strict=True):
        sample.set_metainfo(dict(task=task, img_shape=(32, 64)))
        sample.gt_sem_seg.data %= 2
    return torch.randn(len(tasks), 3, 32, 64), made


def test_a_batch_reaches_the_heads_of_its_task_alone():
    model = build(**LV).train()
    losses = model.loss(*batch('road', 'road'))
    assert sorted(losses) == [
        'road.aux_0.acc_seg', 'road.aux_0.loss_ce', 'road.decode.acc_seg', 'road.decode.loss_ce',
    ]  # fmt: skip
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    grads = {name: p.grad is not None for name, p in model.named_parameters() if p.requires_grad}
    assert all(given == ('streets' not in name) for name, given in grads.items())


def test_labels_of_another_task_change_no_loss():
    model = build(**LV).train()
    images, own = batch('road', 'road')
    before = model.loss(images, own)
    with torch.no_grad():  # the other head is another, too
        for param in model.decode_heads['streets'].parameters():
            param += 1
    after = model.loss(images, own)
    assert all(torch.equal(before[name], after[name]) for name in before)
    # a label is an index into the task's own classes
    own[0].gt_sem_seg.data[:] = 3
    with pytest.raises((IndexError, RuntimeError)):
        model.loss(images, own)['road.decode.loss_ce'].item()


def test_scores_and_words_of_a_task_are_its_own():
    model = build(**LV).eval()
    images, _ = batch('road')
    words = model.text()
    assert model.text.classes == ('road', 'sky', 'car', 'bus', 'rest')
    first = model.extract_feat(images)
    with model.on_task('road'):
        second = model.extract_feat(images)
    assert torch.equal(second.text, words[[4, 0]])
    assert torch.equal(first.text, words[:4])
    assert torch.equal(second.scores[:, 1], first.scores[:, 0])  # both are of the road
    assert all(torch.equal(a, b) for a, b in zip(first.maps, second.maps, strict=True))


def test_predictions_are_of_the_task_of_each_sample():
    model = build().eval()
    images, mixed = batch('road', 'streets', 'road')
    found = model.predict(images, mixed)
    assert found == mixed
    for i, task in enumerate(('road', 'streets', 'road')):
        with model.on_task(task):
            alone = model.predict(images[i : i + 1])[0]
        assert torch.equal(found[i].pred_sem_seg.data, alone.pred_sem_seg.data)
        assert int(found[i].pred_sem_seg.data.max()) < len(TASKS[task]['classes'])


def test_the_first_task_is_the_default():
    model = build().eval()
    assert (model.current, model.num_classes, model.trained_classes) == ('streets', 4, 5)
    model.set_task('road')
    assert (model.current, model.num_classes) == ('road', 2)
    with pytest.raises(UserError, match=r"task='raod' is no task .* did you mean 'road'"):
        model.set_task('raod')


def test_weights_are_of_the_same_tasks():
    model = build()
    assert model.identity['tasks'] == {name: one['classes'] for name, one in TASKS.items()}
    assert model.identity['num_classes'] == 5
    assert model.identity['method'] == describe_method(dict(type='Frozen'))


def test_prompts_of_tasks_follow_the_task():
    text = dict(type='SharedContext', tower=TOWER, num_context=2, tasks=['streets', 'road'])
    model = build(**{**LV, 'text': text}).train()
    assert model.text.identity['tasks'] == ['streets', 'road']
    model.text.contexts.grad = None
    with torch.no_grad():  # away from the start, where no gradient passes to the words
        for attention in model.neck.attentions:
            attention.out_proj.weight += 0.1
    losses = model.loss(*batch('road', 'road'))
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    norms = model.text.contexts.grad.flatten(1).norm(dim=1)
    assert norms[0] == 0
    assert norms[1] > 0
    assert model.text.task == 'streets'
    with pytest.raises(UserError, match=r"text.tasks=\['road', 'streets'\].*one order"):
        build(**{**LV, 'text': {**text, 'tasks': ['road', 'streets']}})


def test_a_task_may_have_heads_of_its_own():
    own = dict(road=dict(TASKS['road'], decode_head=dict(type='FCNHead', channels=8, num_convs=1)))
    model = build({**TASKS, **own})
    kinds = [type(head).__name__ for head in model.decode_heads.values()]
    assert kinds == ['LinearHead', 'FCNHead']
    only = {name: dict(one, decode_head=LINEAR) for name, one in TASKS.items()}
    assert build(only, decode_head=None).num_classes == 4


@pytest.mark.parametrize(
    ('tasks', 'words'),
    [
        ({}, 'expected tasks by name'),
        (dict(road=dict()), 'model.tasks.road has no classes'),
        (
            dict(road=dict(classes=['a', 'road', 'a'])),
            r"model.tasks.road: classes has \['a'\] twice",
        ),
        (dict(road=dict(classes=['road'])), 'its only class'),
        (dict(road=dict(clases=['a', 'b'])), "did you mean 'classes'"),
        ({'my road': dict(classes=['a', 'b'])}, 'expected a word of letters'),
        (dict(keys=dict(classes=['a', 'b'])), 'rename it'),
    ],
)
def test_bad_tasks(tasks, words):
    with pytest.raises(UserError, match=words):
        build(tasks)


def test_what_several_tasks_cannot_have():
    with pytest.raises(UserError, match=r'model.tasks.streets has no head'):
        build(decode_head=None)
    with pytest.raises(UserError, match='SPM.*learns from the labels'):
        build(peft=dict(type='SPM'))
    with pytest.raises(UserError, match='name 5 different classes'):
        build(num_classes=4)
    words = dict(TABLE, classes=['road', 'sky', 'car', 'bus', 'a'])
    with pytest.raises(UserError, match=r"text.classes lacks 'rest' of the task 'road'"):
        build(**{**LV, 'text': words})
    model = build()
    for tasks, named in ((('road', 'streets'), 'road'), ((None, None), 'None')):
        images, mixed = batch(*tasks)
        with pytest.raises(UserError, match=f'a batch of the tasks .*{named}.*TaskSampler'):
            model.loss(images, mixed)
    images, unknown = batch('raod')
    with pytest.raises(UserError, match="did you mean 'road'"):
        model.loss(images, unknown)
    with pytest.raises(UserError, match="did you mean 'road'"):
        model.predict(images, unknown)
    with pytest.raises(UserError, match='several tasks|weights for each class|reads no names'):
        model.set_classes(['a', 'b'])
