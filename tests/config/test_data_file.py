"""A data file becomes a benchmark, with a name of its own; each mistake in it is one line."""

from pathlib import Path

import pytest
from mmseg.registry import DATASETS

from rein_seg.config.builtin import benchmarks, find_benchmark, protocols
from rein_seg.config.data_file import read_benchmark
from rein_seg.config.own_run import OwnRun
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.errors import UserError
from tests.own_data.made import TEXT, draw_town, pairs, save, stripes


def written(folder, text):
    path = folder / 'data.yaml'
    path.write_text(text)
    return str(path)


def generated(path, request=None, **words):
    return resolve(OwnRun(data=str(path), **words).generate(), request or Request())


def datasets(benchmark, use):
    return {
        domain.name: DATASETS.build(
            {**domain.node, 'data_root': benchmark.data_root, 'pipeline': [dict(type='LoadLabels')]}
        )
        for domain in benchmark.domains(use)
    }


def test_domains_become_source_and_targets(tmp_path):
    own = read_benchmark(str(draw_town(tmp_path)))
    assert (own.name, own.sizes_as, own.num_classes) == ('custom-town', 'custom-town-32', 3)
    assert (own.source, own.targets) == ('day', ('dusk',))
    assert [one.name for one in own.val] == [one.name for one in own.test] == ['day', 'dusk']
    assert own.selection == {'metric': 'day/mIoU', 'rule': 'greater'}
    train = datasets(own, 'train')['day']
    assert len(train) == 3
    assert train[0]['gt_seg_map'].max() == 2
    assert train.metainfo['classes'] == ('road', 'sky', 'house')


def test_everything_is_in_the_resolved_config(tmp_path):
    file = draw_town(tmp_path)
    resolved = generated(file, max_iters=4, seed=7, changes={'batch_size': 3})
    file.unlink()
    again = resolve(resolved.cfg)
    for one in (resolved, again):
        assert one.protocol.name == one.cfg.benchmark.protocol == 'custom-town-32'
        assert one.cfg.test_evaluator.protocol == 'custom-town-32'
        assert one.cfg.model.num_classes == 3
        assert one.cfg.train_dataloader.batch_size == 3
        assert one.cfg.train_dataloader.dataset.data_root == str(tmp_path)
        assert one.cfg.train_cfg.max_iters == 2 * one.cfg.train_cfg.val_interval == 4
        assert one.cfg.randomness.seed == 7
        assert one.deviations.training == ()
    assert resolved.cfg.work_dir == 'work_dirs/town'


@pytest.mark.parametrize('name', ['rein512', 'gtav_to_urban', 'camvid-480x360', 'miniscapes'])
def test_no_name_of_a_published_protocol_or_benchmark(tmp_path, name):
    file = draw_town(tmp_path, TEXT.replace('name: town', f'name: {name}'))
    cfg = generated(file).cfg
    assert cfg.benchmark.name == f'custom-{name}'
    assert cfg.benchmark.protocol == f'custom-{name}-32'
    assert not {cfg.benchmark.name, cfg.benchmark.protocol} & {*benchmarks(), *protocols()}


def test_a_published_protocol_is_refused_for_own_data(tmp_path):
    with pytest.raises(UserError, match="protocol='rein512'.*'custom-town' has custom-town-32"):
        generated(draw_town(tmp_path), Request(protocol='rein512'))
    options = {'benchmark.protocol': 'rein512'}
    with pytest.raises(UserError, match="'rein512' is one of this package"):
        generated(draw_town(tmp_path), Request(options=options))


def test_a_data_file_replaces_the_benchmark_of_a_config(tmp_path):
    file = str(draw_town(tmp_path))
    for benchmark in (file, {'data': file, 'size': 64}):
        cfg = resolve('rein_tiny_camvid', Request(options={'benchmark': benchmark})).cfg
        size = 32 if benchmark == file else 64
        assert cfg.benchmark.protocol == f'custom-town-{size}'
        assert cfg.model.num_classes == 3
        assert cfg.model.crop_size == (size, size)
        assert cfg.train_dataloader.dataset.type == 'FolderDataset'
        classes = {tuple(one.metainfo.classes) for one in cfg.val_dataloader.dataset.datasets}
        assert classes == {('road', 'sky', 'house')}
    assert find_benchmark(file).name == 'custom-town'


@pytest.mark.parametrize(
    ('classes', 'ignore', 'names', 'label_map'),
    [
        ('[a, b]', '', ('a', 'b'), None),
        ('{0: a, 1: b}', '', ('a', 'b'), None),
        ('{7: a, 3: b}', '', ('a', 'b'), {7: 0, 3: 1, 255: 255}),
        ('{a: 7, b: 3}', '', ('a', 'b'), {7: 0, 3: 1, 255: 255}),
        ('{"7": a, "3": b, 4: b}', '[0, 9]', ('a', 'b'), {7: 0, 3: 1, 4: 1, 0: 255, 9: 255}),
        ('[{name: a, id: 5}, {name: b, id: 6}]', '0', ('a', 'b'), {5: 0, 6: 1, 0: 255}),
        ('{0: a, 255: b}', '', ('a', 'b'), {0: 0, 255: 1}),
        ('[a, b]', '255', ('a', 'b'), {0: 0, 1: 1, 255: 255}),
    ],
)
def test_forms_of_classes(tmp_path, classes, ignore, names, label_map):
    text = f'classes: {classes}\nimages: a\nlabels: b\nsplit: {{val: 0.5}}\n'
    own = read_benchmark(written(tmp_path, text + (f'ignore: {ignore}\n' if ignore else '')))
    args = own.train[0].args
    assert args['metainfo']['classes'] == names
    assert args.get('label_map') == label_map


def test_labels_in_colours(tmp_path):
    text = """
    classes: [road, sky]
    label_colours: {sky: '#0000ff', road: [255, 0, 0]}
    ignore: [[0, 0, 0]]
    images: images
    labels: labels
    split: {val: 0.5}"""
    own = read_benchmark(written(tmp_path, text))
    colours = stripes(0, 1, 2)
    picture = [[0, 0, 255], [255, 0, 0], [0, 0, 0]]
    for name in 'ab':
        save(tmp_path / f'images/{name}.png', stripes(0, 1, 2))
        label = __import__('numpy').array(picture, 'uint8')[colours]
        save(tmp_path / f'labels/{name}.png', label)
    label = datasets(own, 'train')[tmp_path.name][0]['gt_seg_map']
    assert label[0, [0, 30, 63]].tolist() == [1, 0, 255]
    assert own.train[0].args['metainfo']['palette'] == [[255, 0, 0], [0, 0, 255]]


def test_swapped_names_swap_the_labels_names(tmp_path):
    file = draw_town(tmp_path)
    one = datasets(read_benchmark(str(file)), 'train')['day'].metainfo['classes']
    file.write_text(TEXT.replace('[road, sky, house]', '[sky, road, house]'))
    two = datasets(read_benchmark(str(file)), 'train')['day'].metainfo['classes']
    assert (one, two) == (('road', 'sky', 'house'), ('sky', 'road', 'house'))


def test_a_rule_divides_by_sequence(tmp_path):
    for video in ('0001TP_00', '0006R0_f0', '0016E5_'):
        pairs(tmp_path, 'images', 'labels', number=5, prefix=video)
    text = 'classes: [a, b, c]\nimages: images\nlabels: labels\nsplit: {val: 0.3, by: sequence}\n'
    own = read_benchmark(written(tmp_path, text))
    names = {}
    for use in ('train', 'val'):
        (dataset,) = datasets(own, use).values()
        paths = [Path(dataset[i]['img_path']).name for i in range(len(dataset))]
        names[use] = {name.partition('_')[0] for name in paths}
    assert len(names['val']) == 1
    assert names['train'] | names['val'] == {'0001TP', '0006R0', '0016E5'}
    assert not names['train'] & names['val']


def _validated(file):
    """Names of the images that a data file leaves for validation."""
    (dataset,) = datasets(read_benchmark(file), 'val').values()
    return [Path(dataset[i]['img_path']).name for i in range(len(dataset))]


@pytest.mark.parametrize('by', ['image', 'tail'])
def test_a_rule_divides_alike_wherever_the_command_stands(tmp_path, monkeypatch, by):
    town = tmp_path / 'town'
    pairs(town, 'images', 'labels', number=20, prefix='')
    text = 'classes: [a, b, c]\nimages: {}\nlabels: labels\nsplit: {{val: 0.3, by: {}}}\n'
    file = written(town, text.format('images', by))
    expected = _validated(file)
    assert len(expected) == 6
    for folder, place in ((tmp_path, 'town/data.yaml'), (town, 'data.yaml'), (town, './data.yaml')):
        monkeypatch.chdir(folder)
        assert _validated(place) == expected
    for spelt in ('./images', 'images/', 'images/../images'):
        assert _validated(written(town, text.format(spelt, by))) == expected


def test_an_image_is_skipped_before_a_rule_divides(tmp_path):
    pairs(tmp_path, 'images', 'labels', number=10, prefix='a')
    text = 'classes: [a, b, c]\nimages: images\nlabels: labels\nsplit: {val: 0.2, by: image}\n'
    name = _validated(written(tmp_path, text))[0]
    own = read_benchmark(written(tmp_path, f'{text}skip: [{name}]\n'))
    sizes = {use: len(*datasets(own, use).values()) for use in ('train', 'val')}
    assert sum(sizes.values()) == 9
    assert name not in _validated(written(tmp_path, f'{text}skip: [{name}]\n'))


def test_a_domain_that_trains_is_no_target(tmp_path):
    for domain in ('day', 'night'):
        for split in ('train', 'val'):
            pairs(tmp_path, f'{domain}/{split}/images', f'{domain}/{split}/labels', number=2)
    lines = [
        f'  {domain}: {{' + ', '.join(
            f'{split}: {{images: {domain}/{split}/images, labels: {domain}/{split}/labels}}'
            for split in ('train', 'val')
        ) + '}'
        for domain in ('day', 'night')
    ]  # fmt: skip
    text = 'classes: [a, b, c]\ndomains:\n' + '\n'.join(lines) + '\nsource: [day, night]\n'
    cfg = generated(written(tmp_path, text)).cfg
    assert cfg.val_evaluator.source == 'day'
    assert list(cfg.val_evaluator.targets) == []


WHOLE = 'classes: [a, b]\nimages: i\nlabels: l\nsplit: {val: 0.2}\n'
BAD = {
    'empty': ('', 'holds no names with values'),
    'a list': ('- a', 'holds no names with values'),
    'ignore beside threshold': (
        f'{WHOLE}threshold: 128\nignore: [200]\n',
        'beside threshold=128',
    ),
    'no yaml': ('a: [1', 'line 1'),
    'key twice': ('name: a\nname: b', "line 2: the key 'name' stands here twice"),
    'alias': ('name: &x a\nsource: *x', 'line 2: .x names a part'),
    'python': ('name: !!python/object/apply:os.system [ls]', 'line 1'),
    'no classes': ('name: a', 'has no classes'),
    'unknown key': (WHOLE + 'clases: [a]', "has a key 'clases'; did you mean 'classes'"),
    'one class': (WHOLE.replace('[a, b]', '[a]'), 'expected two or more'),
    'class is no text': (WHOLE.replace('[a, b]', '[no, b]'), 'classes.0=False: expected a name'),
    'class twice': (WHOLE.replace('[a, b]', '[a, a]'), 'expected each name once'),
    'id twice': (WHOLE.replace('[a, b]', '{a: 1, b: 1}'), 'an id of its own'),
    'id below 0': (WHOLE.replace('[a, b]', '{-1: a, 0: b}'), 'expected ids of 0 to'),
    'nan id': (WHOLE.replace('[a, b]', '{.nan: a, 0: b}'), 'expected ids of 0 to'),
    'ignored class': (WHOLE + 'ignore: 1', 'ignore=1: expected an id without a class; it is b'),
    'palette': (WHOLE + 'palette: [[0, 0, 0]]', 'expected 2 colours'),
    'palette of none': (WHOLE + 'palette: {c: [0, 0, 0]}', "class 'c'; known: 'a', 'b'"),
    'colour': (WHOLE + 'palette: [[0, 0, 0], [0, 0, 256]]', 'a colour .R, G, B. of 0 to 255'),
    'colour twice': (WHOLE + 'label_colours: [[0, 0, 0], [0, 0, 0]]', 'another colour for each'),
    'size text': (WHOLE + 'size: large', "size='large': expected a whole number"),
    'size nan': (WHOLE + 'size: .nan', 'size=nan: expected a whole number'),
    'size huge': (WHOLE + 'size: 100000', 'at most 4096'),
    'crop': (WHOLE + 'size: 64\ncrop: 96', 'crop=96: expected a multiple of 32 up to size=64'),
    'share': (WHOLE.replace('0.2', '2'), 'split.val=2: expected a number, above 0 and below 1'),
    'by': (WHOLE.replace('0.2', '0.2, by: video'), "split.by='video'"),
    'name': (WHOLE + 'name: a/b', "name='a/b': expected"),
    'no images': ('name: a\nclasses: [a, b]', 'names no images'),
    'no labels': ('name: a\nclasses: [a, b]\nimages: i', 'labels is missing'),
    'no val': (WHOLE.replace('split: {val: 0.2}', ''), 'val is missing'),
    'source': (WHOLE.replace('images', 'source: x\nimages'), "source='x' is no domain"),
    'both': (WHOLE + 'domains: {day: {images: i, labels: l}}', 'and domains beside|domains and'),
    'domain key': (
        'name: a\nclasses: [a, b]\ndomains: {day: {trian: {images: i, labels: l}}}',
        "domains.day has a key 'trian'; did you mean 'train'",
    ),
    'no source': (
        'name: a\nclasses: [a, b]\ndomains: {x: {images: i, labels: l}, y: {images: i, labels: l}}',
        'name those that train, such as source: x',
    ),
    'domain': (
        'name: a\nclasses: [a, b]\ndomains: {../x: {images: i, labels: l}}',
        'expected a name of',
    ),
    'mean': ('name: a\nclasses: [a, b]\ndomains: {mean: {images: i, labels: l}}', 'other than'),
}


@pytest.mark.parametrize('case', BAD)
def test_a_mistake_is_one_line(tmp_path, case):
    text, words = BAD[case]
    with pytest.raises(UserError, match=words) as raised:
        read_benchmark(written(tmp_path, text))
    assert '\n' not in str(raised.value)
    assert 'data.yaml' in str(raised.value)


def test_a_file_that_cannot_be_read(tmp_path):
    for path, words in (
        (tmp_path / 'none.yaml', 'does not exist'),
        (tmp_path, 'is no plain file'),
        (tmp_path / 'latin.yaml', 'is not UTF-8'),
    ):
        (tmp_path / 'latin.yaml').write_bytes(b'name: caf\xe9')
        with pytest.raises(UserError, match=words):
            read_benchmark(str(path))


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (dict(encoder='vit_tyny'), "encoder='vit_tyny'; did you mean 'vit_tiny'"),
        (dict(head='linaer'), "head='linaer'; did you mean 'linear'"),
        (dict(peft='lora'), "peft='lora'; did you mean 'LoRA'"),
        (dict(changes={'size': 5000}), 'size=5000: expected'),
        (dict(lr=0.0), 'lr=0.0: expected a number above 0'),
        (dict(lr=float('nan')), 'lr=nan: expected'),
    ],
)
def test_unknown_words(tmp_path, words, message):
    with pytest.raises(UserError, match=message):
        OwnRun(data=str(draw_town(tmp_path)), **words).generate()


@pytest.mark.parametrize(
    ('encoder', 'peft', 'head'),
    [
        ('dinov2_base', 'LoRA', 'mask2former'),
        ('vit_tiny', 'Rein', 'mask2former_tiny'),
        ('vit_tiny', 'Rein', 'upernet'),
        ('vit_tiny', 'Rein', 'setr_pup'),
        ('vit_tiny', 'Full', 'linear'),
        ('sam_base', 'ConvLoRA', 'sam'),
    ],
)
def test_combinations_resolve(tmp_path, encoder, peft, head):
    cfg = generated(draw_town(tmp_path), encoder=encoder, peft=peft, head=head).cfg
    assert cfg.model.backbone.peft.type == peft
    sizes = {key: cfg.model.backbone.peft.get(key) for key in ('num_tokens', 'query_dims')}
    if head == 'mask2former_tiny':
        assert sizes == {'num_tokens': 40, 'query_dims': 128}
    assert (cfg.model.get('neck') is not None) == (head == 'upernet')
    assert len(cfg.model.get('auxiliary_head', [])) == (4 if head == 'setr_pup' else 0)
    assert cfg.optim_wrapper.optimizer.lr == (1e-3 if peft == 'Rein' else 1e-4)


def test_unseen_classes_and_words_reach_labels_metric_and_text(tmp_path):
    more = 'unseen: [house]\nnames: {road: [road, street], house: building}\n'
    path = draw_town(tmp_path, TEXT + more)
    words = {'road': ['road', 'street'], 'house': ['building']}
    own = read_benchmark(str(path))
    assert own.unseen == ('house',)
    assert {name: list(found) for name, found in own.names.items()} == words
    cfg = generated(path, encoder='tinyclip_random', head='atm', peft='LoRA').cfg
    assert cfg.model.text.to_dict() == {
        'type': 'ClassTable',
        'classes': ['road', 'sky', 'house'],
        'unseen': ['house'],
        'names': words,
    }
    steps = [step.type for step in cfg.train_dataloader.dataset.pipeline]
    assert steps.count('KeepSeenLabels') == 1
    assert cfg.test_evaluator.type == 'SeenUnseenIoU'
    closed = generated(path).cfg  # words are of the data: a model without text does not read them
    assert 'text' not in closed.model


@pytest.mark.parametrize(
    ('more', 'said'),
    [
        ('unseen: [hose]', "unseen names 'hose', which is no class; did you mean 'house'"),
        ('unseen: [road, sky, house]', 'data.yaml: unseen names all 3 classes'),
        ('unseen: [house, house]', "data.yaml: unseen names the class 'house' twice"),
        ('unseen: []', 'not empty'),
        ('names: {street: road}', "names names a class 'street'"),
        ('names: {road: []}', 'names.road=\\[\\]'),
        ('names: [road]', 'expected a dict'),
    ],
)
def test_mistakes_in_unseen_and_words(tmp_path, more, said):
    path = draw_town(tmp_path, f'{TEXT}{more}\n')
    with pytest.raises(UserError, match=said):
        read_benchmark(str(path))


def test_unseen_classes_of_own_data(tmp_path):
    file = draw_town(tmp_path, TEXT + 'unseen: [house]\n')
    own = read_benchmark(str(file))
    assert own.unseen == ('house',)
    # a choice by hIoU would look at labels that training must not see
    assert own.selection == {'metric': 'day/S', 'rule': 'greater'}
    cfg = generated(file).cfg
    assert cfg.val_evaluator.unseen == cfg.test_evaluator.unseen == ['house']
    steps = [step.type for step in cfg.train_dataloader.dataset.pipeline]
    assert steps[1:3] == ['LoadLabels', 'KeepSeenLabels']
    label = DATASETS.build(cfg.train_dataloader.dataset)[0]['data_samples'].gt_sem_seg.data
    assert 2 not in label.unique().tolist()
