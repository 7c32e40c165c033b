"""Unseen classes are named in the benchmark and reach labels, metrics and deviations."""

import pytest

from rein_seg.config.benchmarks.miniscapes_unseen import UNSEEN
from rein_seg.config.config_paths import datasets_of
from rein_seg.config.deviations import inherited_deviations
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.errors import UserError

NAME = 'frozen_tiny_miniscapes'


def resolved(name=NAME, /, training=False, **options):
    given = {'benchmark': 'miniscapes_unseen'} if name == NAME else {}
    given |= {key.replace('__', '.'): value for key, value in options.items()}
    return resolve(name, Request(options=given, training=training))


def types(dataset):
    return [step.type for step in dataset.pipeline]


def keep(cfg):
    return next(s for s in cfg.train_dataloader.dataset.pipeline if s.type == 'KeepSeenLabels')


def test_the_drawn_streets_with_four_unseen_classes():
    run = resolved(training=True)
    cfg = run.cfg
    assert UNSEEN == ('sidewalk', 'vegetation', 'bus', 'bicycle')
    assert types(cfg.train_dataloader.dataset)[:3] == [
        'LoadDomainImage', 'LoadLabels', 'KeepSeenLabels',
    ]  # fmt: skip
    assert keep(cfg).to_dict() == {'type': 'KeepSeenLabels', 'unseen': list(UNSEEN)}
    tested = [*cfg.val_dataloader.dataset.datasets, *cfg.test_dataloader.dataset.datasets]
    assert [one.domain for one in tested[:6]] == [
        'clear', 'overcast', 'night', 'fog', 'rain', 'snow',
    ]  # fmt: skip
    assert all('KeepSeenLabels' not in types(dataset) for dataset in tested)
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        assert (evaluator.type, evaluator.unseen) == ('SeenUnseenIoU', list(UNSEEN))
    assert (cfg.model.num_classes, cfg.benchmark.protocol) == (19, 'miniscapes-256x128')
    assert run.protocol.name == 'miniscapes-256x128'
    # the shipped recipe is a deviation in nothing that unseen classes touch
    plain = resolve(NAME, Request(training=True)).deviations
    assert (run.deviations.training, run.deviations.test) == (plain.training, plain.test)


def test_a_resolved_config_resolves_to_itself():
    cfg = resolved().cfg
    again = resolve(cfg).cfg
    assert again.to_dict() == cfg.to_dict()


def test_a_pipeline_of_a_protocol_gets_the_step_without_being_a_deviation():
    run = resolved('rein_dinov2_gtav', training=True, benchmark__unseen=['bus'])
    assert types(run.cfg.train_dataloader.dataset)[1:3] == ['LoadLabels', 'KeepSeenLabels']
    assert run.deviations.training == ('unseen classes bus instead of none',)
    assert run.deviations.test == ('unseen classes bus instead of none',)
    assert run.cfg.val_evaluator.type == 'DomainIoUMetric'
    other = resolve(run.cfg, Request(protocol='soma512')).cfg
    assert types(other.train_dataloader.dataset).count('KeepSeenLabels') == 1


def test_a_pipeline_of_a_users_own_gets_the_step():
    steps = [dict(type='LoadDomainImage'), dict(type='LoadAnnotations'),
             dict(type='PackDomainInputs')]  # fmt: skip
    cfg = resolved(train_dataloader__dataset__pipeline=steps).cfg
    assert types(cfg.train_dataloader.dataset)[1:3] == ['LoadAnnotations', 'KeepSeenLabels']


def test_every_training_set_inside_others_gets_the_step():
    steps = [dict(type='LoadDomainImage'), dict(type='LoadLabels'), dict(type='PackDomainInputs')]
    one, two = (
        dict(type='MiniScapesDataset', domain=name, split='train', count=4, pipeline=steps)
        for name in ('clear', 'night')
    )
    both = [one, dict(type='RepeatDataset', times=2, dataset=two)]
    cfg = resolved(
        train_dataloader__dataset=dict(_delete_=True, type='ConcatDataset', datasets=both)
    ).cfg
    first, second = datasets_of(cfg, ('train_dataloader',))
    assert [types(part)[1:3] for part in (first, second)] == [['LoadLabels', 'KeepSeenLabels']] * 2
    assert [part.domain for part in (first, second)] == ['clear', 'night']


def test_other_unseen_classes_reach_all_and_are_a_deviation():
    run = resolve(
        'frozen_tiny_miniscapes',
        Request(options={'benchmark': 'miniscapes_unseen'}, training=True),
    )
    run.cfg.benchmark.unseen = ['bus']
    with pytest.raises(UserError, match=r"has unseen=\['sidewalk'.*benchmark.unseen=\['bus'\]"):
        resolve(run.cfg)


def test_a_head_that_gives_pseudo_labels_finds_unseen_pixels_marked():
    from mmengine.config import Config

    from rein_seg.config.protocol import seen_labels_step

    head = dict(type='ATMHead', unseen_label=254)
    cfg = Config(dict(benchmark=dict(unseen=['bus']), model=dict(decode_head=head)))
    assert seen_labels_step(cfg)['unseen_as'] == 254


def test_compact_makes_a_model_of_the_seen_classes_that_is_tested_on_all():
    run = resolved(training=True, benchmark__compact=True)
    cfg = run.cfg
    assert cfg.model.num_classes == 15
    assert keep(cfg).compact is True
    assert cfg.val_evaluator.compact is True
    assert run.deviations.training == resolved(training=True).deviations.training
    assert resolve(cfg).cfg.to_dict() == cfg.to_dict()


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(benchmark__unseen=['busses']), "benchmark.unseen names 'busses', which is no class"),
        (dict(benchmark__unseen=['bus', 'bus']), "names the class 'bus' twice"),
        (dict(val_evaluator__unseen=['bus']), r"val_evaluator has unseen=\['bus'\], but benchmark"),
        (
            dict(train_dataloader__dataset__pipeline=[dict(type='LoadDomainImage')]),
            "pipeline of 'clear' has no LoadLabels",
        ),
        (
            dict(
                train_dataloader__dataset__pipeline=[
                    dict(type='LoadLabels'),
                    dict(type='KeepSeenLabels', unseen=['bus']),
                ]
            ),
            r"KeepSeenLabels of the training pipeline of 'clear' has unseen=\['bus'\]",
        ),
        (
            dict(benchmark__compact=True, benchmark__class_weights='auto'),
            'compact=True with benchmark.class_weights',
        ),
        (
            dict(benchmark__compact=True, model__text=dict(type='ClassTable')),
            'compact=True with model.text',
        ),
        (dict(benchmark__unseen='bus'), 'benchmark.unseen'),
        (
            dict(
                model__auxiliary_head=dict(type='ATMHead', unseen_label=253),
                model__decode_head=dict(_delete_=True, type='ATMHead', unseen_label=254),
            ),
            'auxiliary_head ATMHead has unseen_label=253, but model.decode_head.unseen_label=254',
        ),
        (
            dict(model__auxiliary_head=[dict(type='ATMHead', unseen_label=254)]),
            'auxiliary_head ATMHead has unseen_label=254, but .*unseen_label=None',
        ),
        (
            dict(
                train_dataloader__dataset__pipeline=[
                    dict(type='LoadLabels'),
                    dict(type='KeepSeenLabels', unseen=list(UNSEEN)),
                    dict(type='KeepSeenLabels', unseen=list(UNSEEN)),
                ]
            ),
            "pipeline of 'clear' has KeepSeenLabels 2 times",
        ),
        (
            dict(
                benchmark__compact=True,
                train_dataloader__sampler=dict(type='mmseg.RareClassSampler', _delete_=True),
            ),
            'compact=True with RareClassSampler',
        ),
        # each would score, or hand in, indexes of the seen classes as classes of the data
        (
            dict(
                benchmark__compact=True,
                val_evaluator=dict(type='DomainIoUMetric', source='clear', _delete_=True),
            ),
            'compact=True with val_evaluator DomainIoUMetric',
        ),
        (
            dict(
                benchmark__compact=True,
                test_evaluator=[
                    dict(type='SeenUnseenIoU'),
                    dict(type='SubmissionWriter', folder='x'),
                ],
            ),
            'compact=True with test_evaluator SubmissionWriter',
        ),
        (
            dict(
                test_dataloader__dataset__datasets=[
                    dict(
                        type='MiniScapesDataset',
                        domain='fog',
                        split='val',
                        count=2,
                        pipeline=[
                            dict(type='LoadLabels'),
                            dict(type='KeepSeenLabels', unseen=['bus']),
                        ],
                    )
                ]
            ),
            "the test pipeline of 'fog' has KeepSeenLabels",
        ),
    ],
)
def test_mistakes(options, words):
    with pytest.raises(UserError, match=words):
        resolved(**options)


def test_all_classes_unseen():
    from rein_seg.datasets import MiniScapesDataset

    with pytest.raises(UserError, match='names all 19 classes'):
        resolved(benchmark__unseen=list(MiniScapesDataset.METAINFO['classes']))


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(val_evaluator=dict(type='SeenUnseenIoU')), 'but benchmark.unseen names no class'),
        (
            dict(test_evaluator=dict(type='SeenUnseenIoU', unseen=['busses'])),
            "test_evaluator.unseen names 'busses', which is no class; did you mean 'bus'",
        ),
        (
            dict(val_evaluator=dict(type='SeenUnseenIoU', unseen=['bus'], compact=True)),
            'val_evaluator has compact=True, but benchmark.compact=None',
        ),
        (dict(benchmark__compact=True), 'compact=True, but benchmark.unseen'),
        (
            dict(
                train_dataloader__dataset__pipeline=[
                    dict(type='LoadLabels'),
                    dict(type='KeepSeenLabels', unseen=['bus']),
                ]
            ),
            'benchmark.unseen=None',
        ),
    ],
)
def test_parts_of_it_without_unseen_classes(options, words):
    given = {key.replace('__', '.'): value for key, value in options.items()}
    with pytest.raises(UserError, match=words):
        resolve(NAME, Request(options=given))


def test_a_metric_of_its_own_scores_the_groups_of_a_full_training():
    own = dict(type='SeenUnseenIoU', unseen=['bus'], source='clear')
    cfg = resolve(NAME, Request(options={'val_evaluator': own})).cfg
    assert cfg.val_evaluator.unseen == ['bus']
    assert 'KeepSeenLabels' not in types(cfg.train_dataloader.dataset)


def test_an_auxiliary_head_without_pseudo_labels_is_no_mistake():
    from mmengine.config import Config

    from rein_seg.config.config_paths import Parts
    from rein_seg.config.protocol import seen_labels_step
    from rein_seg.config.unseen import fill_unseen

    head = dict(type='ATMHead', unseen_label=254)
    model = dict(decode_head=head, auxiliary_head=dict(type='LinearHead'))
    cfg = Config(dict(benchmark=dict(unseen=['bus']), model=model))
    fill_unseen(cfg, Parts(cfg), seen_labels_step(cfg))
    assert cfg.model.auxiliary_head.to_dict() == {'type': 'LinearHead'}


def test_another_ignored_label_reaches_the_step():
    cfg = resolved(train_dataloader__dataset__ignore_index=200).cfg
    assert keep(cfg).ignore_index == cfg.model.decode_head.ignore_index == 200


def test_a_test_on_own_data_says_other_unseen_classes_of_the_training():
    own = dict(benchmark__name='town', val_evaluator__type='SeenUnseenIoU')
    run = resolved(training=True, **own, benchmark__unseen=['bus'])
    assert run.training_record()['unseen'] == ['bus']
    other = resolved(**own, benchmark__unseen=['car']).cfg
    assert inherited_deviations(run.cfg, run.training_record()) == []
    assert inherited_deviations(other, run.training_record()) == [
        'unseen classes of the training bus instead of car'
    ]


ZEGCLIP = 'zegclip_tiny_miniscapes'


def test_text_gets_the_classes_of_the_data_and_the_unseen_of_the_benchmark():
    cfg = resolved(ZEGCLIP).cfg
    assert (cfg.model.text.classes[1], cfg.model.text.unseen) == ('sidewalk', list(UNSEEN))
    assert resolve(cfg).cfg.to_dict() == cfg.to_dict()


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(model__text__unseen=['bus']), r"model.text.unseen=\['bus'\], but benchmark.unseen="),
        (dict(model__text__unseen=[]), r'model.text.unseen=\[\], but benchmark.unseen='),
        (
            dict(benchmark='miniscapes', model__text__unseen=['bus']),
            r"model.text.unseen=\['bus'\], but benchmark.unseen=\[\]",
        ),
        (
            dict(model__text__classes=['sky', 'road']),
            r"model.text.classes=\['sky', 'road'\], but the training data of 'clear' have",
        ),
    ],
)
def test_text_of_other_classes_or_other_unseen_classes_is_refused(options, words):
    with pytest.raises(UserError, match=words):
        resolved(ZEGCLIP, **options)
