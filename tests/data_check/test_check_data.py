"""The doctor: every planted fault is reported with its file, and clean data has none."""

import dataclasses
import json
import shutil

import cv2
import numpy as np
import pytest

from rein_seg.cli import main
from rein_seg.config.builtin import benchmarks
from rein_seg.config.checks import check_labels
from rein_seg.data_check import check_data, read_parts
from rein_seg.data_check.report import report_text
from rein_seg.datasets.files import faults as kinds
from rein_seg.errors import UserError
from tests.datasets.trees import TREES
from tests.own_data import made

TEXT = """
data_root = 'data'
expected_images = dict(train=dict(town=12), val=dict(city=3))
def images(domain, **options):
    return dict(
        type='DomainDataset', domain=domain, label_map={0: 255, 7: 0, 26: 1, 31: 2},
        metainfo=dict(
            classes=('road', 'car', 'train'), palette=[[90, 0, 90], [0, 0, 140], [0, 90, 9]]),
        data_prefix=dict(img_path=f'{domain}/images', seg_map_path=f'{domain}/labels'),
        img_suffix='.jpg', hint=f'{domain} is at example.org', pipeline=[], **options)
train_dataloader = dict(dataset=images('town'))
val_dataloader = dict(dataset=dict(type='ConcatDataset', datasets=[
    images('city', test_mode=True), images('gone', wrong_size='skip', test_mode=True)]))
test_dataloader = val_dataloader
"""
SIZE = (24, 32)


def write(root, domain, name, *, ids=(7, 26, 0), size=SIZE, seed=0):
    """Writes an image of noise and a label in vertical stripes of ids."""
    image = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8)
    label = np.repeat(np.array(ids, np.uint8), -(-size[1] // len(ids)))[None, : size[1]]
    for folder, end, array in (
        ('images', 'jpg', image),
        ('labels', 'png', label.repeat(size[0], 0)),
    ):
        path = root / domain / folder / f'{name}.{end}'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), array)


@pytest.fixture
def clean(tmp_path):
    """A config and its data, without a fault."""
    for domain, number in (('town', 12), ('city', 3), ('gone', 2)):
        for i in range(number):
            write(tmp_path / 'data', domain, f'{i:02}', seed=[number, i])
    (tmp_path / 'towns.py').write_text(TEXT)
    return tmp_path


@pytest.fixture
def run(clean, capsys):
    def call(*args):
        words = ['check-data', str(clean / 'towns.py'), '--out', str(clean / 'out'), *args]
        capsys.readouterr()
        code = main([*words, '--cfg-options', f'data_root={clean / "data"}'])
        return code, capsys.readouterr()

    return call


def plant(root):
    """Plants a fault of each kind; returns kind -> file."""
    town = root / 'data/town'
    (town / 'labels/00.png').unlink()
    (town / 'images/01.jpg').unlink()
    broken = town / 'images/02.jpg'
    broken.write_bytes(broken.read_bytes()[:-300])
    (town / 'images/03.jpg').write_bytes(b'')
    damaged = town / 'labels/04.png'
    damaged.write_bytes(damaged.read_bytes()[:-30])
    cv2.imwrite(str(town / 'labels/05.png'), np.zeros((*SIZE, 3), np.uint8))
    write(root / 'data', 'town', '06', size=(24, 30))
    write(root / 'data', 'town', '07', ids=(7, 99, 77), seed=7)
    shutil.copy(town / 'images/08.jpg', root / 'data/city/images/01.jpg')
    shutil.rmtree(root / 'data/gone')
    return {
        (kinds.NO_LABEL, 'town/images/00.jpg'),
        (kinds.NO_IMAGE, 'town/labels/01.png'),
        (kinds.BAD_IMAGE, 'town/images/02.jpg'),
        (kinds.BAD_IMAGE, 'town/images/03.jpg'),
        (kinds.BAD_LABEL, 'town/labels/04.png'),
        (kinds.CHANNELS, 'town/labels/05.png'),
        (kinds.SIZE, 'town/labels/06.png'),
        (kinds.IDS, 'town/labels/07.png'),
        (kinds.COUNT, 'town/images'),
        (kinds.DUPLICATE, 'city/images/01.jpg'),
        (kinds.MISSING, 'gone/images'),
    }


def test_every_planted_fault_is_reported(clean, run):
    planted = plant(clean)
    code, shown = run('--duplicates')
    assert code == 1, shown.err
    report = json.loads((clean / 'out/check_data.json').read_text())
    root = str(clean / 'data') + '/'
    found = {
        (fault['kind'], fault['file'].removeprefix(root))
        for part in report['datasets']
        for fault in part['faults']
    }
    assert found == planted
    assert report['faults'] == len(planted) == 11
    assert '11 faults' in shown.out
    for _, file in planted:
        assert file in shown.out
    for part in ('get it: gone is at example.org', 'gone/labels/**/*.png', 'the ids [77, 99]'):
        assert part in shown.out
    assert (clean / 'out/overlays.png').is_file()


def test_each_fault_alone_is_enough(clean, run):
    for i, name in enumerate(('images/02.jpg', 'labels/04.png')):
        path = clean / 'data/town' / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        code, shown = run()
        assert code == 1
        assert '1 faults' in shown.out and name in shown.out, (i, shown.out)
        path.write_bytes(whole)
    flipped = bytearray(whole)  # in the pixels of a PNG: its checksum is wrong
    flipped[whole.index(b'IDAT') + 8] ^= 1
    path.write_bytes(flipped)
    assert run()[0] == 1


def test_clean_data(clean, run):
    code, shown = run('--json', '--duplicates')
    assert code == 0, shown.out
    report = json.loads(shown.out)
    assert report['faults'] == 0
    town, city, gone = report['datasets']
    assert [part['name'] for part in (town, city, gone)] == ['train/town', 'val/city', 'val/gone']
    assert city['uses'] == ['val', 'test']
    assert (town['images'], town['expected_images'], gone['expected_images']) == (12, 12, None)
    # 32 columns: 11 road, 11 car, 10 void, of 24 rows and 3 images
    assert city['raw_ids'] == {'0': 720, '7': 792, '26': 792}
    assert city['classes']['car'] == {'pixels': 792, 'images': 3}
    assert city['ignored_pixels'] == 720
    assert city['absent_classes'] == ['train']
    sheet = cv2.imread(str(clean / 'out/overlays.png'))
    # the label of the first sample: its left third in the colour of road, as BGR
    assert (sheet[22 + 22 + 100, 2 * 326 + 20] == [90, 0, 90]).all()


def test_what_the_config_allows_is_no_fault(clean, run):
    write(clean / 'data', 'gone', '00', size=(24, 30))
    code, shown = run()
    assert code == 0
    assert "two sizes: 1 (allowed: wrong_size='skip')" in shown.out


def test_a_run_says_what_the_doctor_says(clean):
    plant(clean)
    parts = read_parts(str(clean / 'towns.py'), data_root=str(clean / 'data'))
    town = parts[0].dataset
    said = [fault.message for fault in check_data(parts[:1])[0].faults]
    (clean / 'data/town/images/00.jpg').unlink()
    (clean / 'data/town/labels/01.png').unlink()
    town._fully_initialized = False
    town.full_init()
    with pytest.raises(UserError) as error:
        check_labels(town)
    assert str(error.value) in said
    assert '02.jpg' in str(error.value)


def test_names_and_bad_usage(clean, run):
    parts = read_parts('gtav_to_urban', data_root=str(clean))
    assert {part.name: part.expected for part in parts} == {
        'train/gtav': 24966, 'val/cityscapes': 500, 'val/bdd100k': 1000, 'val/mapillary': 2000,
    }  # fmt: skip
    checks = check_data(parts)
    assert [[f.kind for f in check.faults] for check in checks] == [[kinds.MISSING]] * 4
    with pytest.raises(UserError, match="did you mean 'gtav_to_urban'"):
        read_parts('gtav_to_urbn')
    assert run('--data-root', 'elsewhere')[0] == 1
    assert main(['check-data', 'camvid']) == 2


@pytest.mark.parametrize('name', benchmarks())
def test_numbers_of_images_are_of_data_sets_that_are_there(name, tmp_path):
    stated = benchmarks()[name].content().get('expected_images') or {}
    if not (benchmarks()[name].train or benchmarks()[name].tasks):  # a frame
        with pytest.raises(UserError, match="'binary_1024' names no data set"):
            read_parts(name)
        return
    parts = read_parts(name, data_root=str(tmp_path))
    for part in parts:
        if getattr(part.dataset, 'layout', None):
            assert part.expected == part.dataset.layout.splits[part.dataset.split or '']
    if benchmarks()[name].tasks:  # their data sets know their numbers
        known = [getattr(part.dataset, 'expected_images', None) for part in parts]
        assert [part.expected for part in parts] == known
        return
    without = [part for part in parts if not getattr(part.dataset, 'layout', None)]
    assert sum(p.expected is not None for p in without) == len(
        {domain for numbers in stated.values() for domain in numbers}
    )


def test_each_corruption_is_of_the_same_files(tmp_path):
    parts = read_parts('cityscapes_to_cityscapes_c', data_root=str(tmp_path))
    assert [(part.name, part.uses[-1], part.expected) for part in parts] == [
        ('train/cityscapes', 'train', 2975),
        ('val/cityscapes', 'test', 500),
    ]


def test_a_folder_is_checked_for_what_lies_in_it(tmp_path):
    for name in ('cityscapes', 'acdc'):
        TREES[name].write(tmp_path, numbers=(1, 2))
    parts = read_parts(str(tmp_path))
    assert sorted(part.name for part in parts) == ['val/cityscapes', 'val/night']
    assert [check.found for check in check_data(parts)] == [2, 2]
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match=r"empty' holds no data set of the benchmarks"):
        read_parts(str(tmp_path / 'empty'))


def test_what_a_folder_takes(tmp_path, capsys):
    path = tmp_path / 'data/camvid'
    for kind, end in (('images', 'jpg'), ('labels', 'png')):
        (path / kind / 'day_train').mkdir(parents=True)
        cv2.imwrite(str(path / kind / f'day_train/a.{end}'), np.zeros(SIZE, np.uint8))
    for root in (path, path.parent):
        assert [part.name for part in read_parts(str(root))] == ['train/day']
    with pytest.raises(UserError, match='--data-root and --cfg-options go with a benchmark'):
        read_parts(str(path), data_root='x')
    assert main(['check-data', str(path), '--workers', '-3']) == 2
    assert "'-3': expected a whole number above 0" in capsys.readouterr().err


def test_converted_labels_are_a_fault(tmp_path):
    tree = dataclasses.replace(TREES['cityscapes'], ids=(0, 13, 255))
    tree.write(tmp_path, numbers=(1, 2))
    check = check_data(read_parts('cityscapes_to_urban', data_root=str(tmp_path)))[1]
    assert kinds.INDEXES in [fault.kind for fault in check.wrong]


def test_unseen_classes_need_no_label_and_seen_classes_do(tmp_path):
    five = 'classes: [road, sky, house, boat, bus]\nunseen: [house, boat]'
    text = made.TEXT.replace('classes: [road, sky, house]', five)
    checks = check_data(read_parts(str(made.draw_town(tmp_path, text))), workers=1)
    assert {check.part.unseen for check in checks} == {('house', 'boat')}
    (warning,) = (line for line in report_text('x', checks).splitlines() if 'warning' in line)
    assert "no label of the training data has 'bus' (1 of 3 classes)" in warning
