"""Exports of polygons are drawn to masks: outside is background, later covers earlier."""

import base64
import io
import json

import numpy as np
import pytest
import yaml
from mmseg.registry import DATASETS
from PIL import Image

from rein_seg.config.data_file import read_benchmark
from rein_seg.errors import UserError
from rein_seg.own_data import init_data
from rein_seg.own_data.polygons.shapes import decode_runs
from tests.own_data.made import photo, save, stripes

SQUARE = [8, 8, 24, 8, 24, 24, 8, 24]
LATER = [16, 16, 40, 16, 40, 40, 16, 40]
SIZE = (48, 64)


def images(folder, place='images', number=4):
    return [save(folder / place / f'{i}.jpg', photo(stripes(0, 1), i)) for i in range(number)]


def labels_of(file):
    """Returns names of the classes, and the first training label as indexes."""
    own = read_benchmark(str(file))
    node = {**own.train[0].node, 'data_root': own.data_root, 'pipeline': [dict(type='LoadLabels')]}
    dataset = DATASETS.build(node)
    return dataset.metainfo['classes'], dataset[0]['gt_seg_map']


def coco(number=4, segmentations=(SQUARE, LATER), names=('leaf', 'mould', 'never'), **more):
    annotations = [
        dict(id=10 * i + j, image_id=i, category_id=j + 1, segmentation=said, iscrowd=0)
        for i in range(number)
        for j, said in enumerate([[one] if isinstance(one, list) else one for one in segmentations])
    ]
    return dict(
        images=[dict(id=i, file_name=f'{i}.jpg', height=48, width=64) for i in range(number)],
        annotations=annotations,
        categories=[dict(id=i + 1, name=name) for i, name in enumerate(names)],
        **more,
    )


def put(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def expected(first=1, second=2, outside=0):
    label = np.full(SIZE, outside, np.uint8)
    label[8:24, 8:24] = first
    label[16:40, 16:40] = second
    return label


def test_coco_polygons(tmp_path):
    images(tmp_path)
    put(tmp_path, 'annotations/instances.json', coco())
    done = init_data(tmp_path)
    names, label = labels_of(done.file)
    assert names == ('background', 'leaf', 'mould')
    assert (label == expected()).all()
    with Image.open(tmp_path / 'masks_from_polygons/images/0.png') as mask:
        assert mask.mode == 'P'


def test_unlabelled_is_ignored(tmp_path):
    images(tmp_path)
    put(tmp_path, 'a.json', coco())
    names, label = labels_of(init_data(tmp_path, unlabelled='ignore').file)
    assert names == ('leaf', 'mould')
    assert (label == expected(0, 1, 255)).all()


def compressed(runs):
    """Writes run lengths in COCO's compressed form."""
    text = ''
    for i, run in enumerate(runs):
        value = run - runs[i - 2] if i > 2 else run
        more = True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr((bits | 32 if more else bits) + 48)
    return text


@pytest.mark.parametrize('form', ['list', 'text'])
def test_coco_run_lengths_and_crowds(tmp_path, form):
    mask = expected(1, 0).T.ravel()
    edges = np.flatnonzero(np.diff(mask)) + 1
    runs = np.diff([0, *edges, mask.size]).tolist()
    assert decode_runs(compressed(runs)) == runs
    said = dict(size=list(SIZE), counts=runs if form == 'list' else compressed(runs))
    images(tmp_path)
    content = coco(segmentations=[said])
    for one in content['annotations']:
        one['iscrowd'] = 1
    put(tmp_path, 'a.json', content)
    names, label = labels_of(init_data(tmp_path).file)
    assert names == ('background', 'leaf')
    assert (label == expected(1, 0)).all()


def test_coco_splits_beside_their_images(tmp_path):
    for split in ('train', 'valid'):
        images(tmp_path, split)
        put(tmp_path, f'{split}/_annotations.coco.json', coco())
    content = yaml.safe_load(init_data(tmp_path, name='leaves').file.read_text())
    assert sorted(content['domains']['leaves']) == ['train', 'val']


def test_coco_as_downloaded(tmp_path):
    for split in ('train', 'val'):
        images(tmp_path, f'{split}2017')
        put(tmp_path, f'annotations/instances_{split}2017.json', coco())
    content = yaml.safe_load(init_data(tmp_path, name='leaves').file.read_text())
    assert content['domains']['leaves']['val']['images'] == 'val2017'


def test_labelme(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.full((16, 16), 255, np.uint8)).save(buffer, 'PNG')
    shapes = [
        dict(label='leaf', points=[[8, 8], [24, 24]], shape_type='rectangle'),
        dict(
            label='mould',
            points=[[16, 16], [40, 16], [40, 40], [16, 40]],
            shape_type='polygon',
        ),
        dict(label='leaf', points=[[1, 1], [2, 2]], shape_type='line'),
        dict(
            label='spot',
            points=[[44, 0], [60, 16]],
            shape_type='mask',
            mask=base64.b64encode(buffer.getvalue()).decode(),
        ),
        dict(label='__ignore__', points=[[0, 40], [8, 48]], shape_type='rectangle'),
    ]
    for path in images(tmp_path):
        content = dict(shapes=shapes, imagePath=f'..\\{path.name}', imageHeight=48, imageWidth=64)
        put(tmp_path, f'images/{path.stem}.json', content)
    done = init_data(tmp_path)
    names, label = labels_of(done.file)
    assert names == ('background', 'leaf', 'mould', 'spot')
    wanted = expected()
    wanted[0:16, 44:60] = 3
    wanted[40:48, 0:8] = 255
    assert (label == wanted).all()
    assert done.skipped == {'4 shapes of type line': 'no area'}


def test_cvat(tmp_path):
    images(tmp_path)
    rows = ''.join(
        f'<image id="{i}" name="{i}.jpg" width="64" height="48">'
        '<polygon label="mould" points="16,16;40,16;40,40;16,40" z_order="1"></polygon>'
        '<box label="leaf" xtl="8" ytl="8" xbr="24" ybr="24" z_order="0"></box>'
        '<mask label="spot" rle="0,16" left="60" top="0" width="4" height="4" z_order="2"/>'
        '<points label="leaf" points="1,1"/></image>'
        for i in range(4)
    )
    meta = ''.join(f'<label><name>{name}</name></label>' for name in ('spot', 'leaf', 'mould'))
    text = f'<?xml version="1.0"?><annotations><meta>{meta}</meta>{rows}</annotations>'
    (tmp_path / 'annotations.xml').write_text(text)
    names, label = labels_of(init_data(tmp_path).file)
    assert names == ('background', 'spot', 'leaf', 'mould')
    wanted = expected(2, 3)
    wanted[0:4, 60:64] = 1
    assert (label == wanted).all()


def test_names_choose_the_order_and_must_fit(tmp_path):
    images(tmp_path)
    put(tmp_path, 'a.json', coco())
    (tmp_path / 'names.txt').write_text('mould\nleaf\n')
    names, label = labels_of(init_data(tmp_path, classes=str(tmp_path / 'names.txt')).file)
    assert names == ('background', 'mould', 'leaf')
    assert (label == expected(2, 1)).all()
    (tmp_path / 'names.txt').write_text('mold\nleaf\n')
    with pytest.raises(UserError, match="polygons of 'mould'.*did you mean 'mold'"):
        init_data(tmp_path, out=tmp_path / 'b.yaml', classes=str(tmp_path / 'names.txt'))


def test_images_that_do_not_fit_are_named(tmp_path):
    images(tmp_path)
    content = coco()
    content['images'][1]['height'] = 99
    content['images'][2]['file_name'] = 'gone.jpg'
    put(tmp_path, 'a.json', content)
    done = init_data(tmp_path)
    assert 'has polygons for (99, 64)' in done.skipped['images/1.jpg']
    assert 'is not there' in done.skipped['gone.jpg']
    assert done.skipped['images/2.jpg'] == 'image without polygons'


BAD = {
    'two points': (lambda c: c['annotations'][0].update(segmentation=[[1, 2, 3, 4]]), 'three'),
    'nan': (lambda c: c['annotations'][0].update(segmentation=[[float('nan')] * 6]), 'finite'),
    'no image': (lambda c: c['annotations'][0].update(image_id=77), 'looks like COCO'),
    'no category': (lambda c: c['annotations'][0].update(category_id=77), 'looks like COCO'),
    'runs': (
        lambda c: c['annotations'][0].update(segmentation=dict(size=[48, 64], counts=[5])),
        'run lengths of 5 pixels',
    ),
}


@pytest.mark.parametrize('case', BAD)
def test_damaged_exports_are_one_line(tmp_path, case):
    change, words = BAD[case]
    images(tmp_path)
    content = coco()
    change(content)
    put(tmp_path, 'a.json', content)
    with pytest.raises(UserError, match=words) as raised:
        init_data(tmp_path)
    assert 'a.json' in str(raised.value)
    assert '\n' not in str(raised.value)
    assert not (tmp_path / 'data.yaml').exists()


def test_what_is_no_json_is_refused(tmp_path):
    images(tmp_path)
    (tmp_path / 'a.json').write_text('{')
    with pytest.raises(UserError, match='a.json is no JSON'):
        init_data(tmp_path)


def test_cvat_turned_shapes(tmp_path):
    images(tmp_path)
    rows = ''.join(
        f'<image id="{i}" name="{i}.jpg" width="64" height="48">'
        '<box label="leaf" xtl="8" ytl="16" xbr="24" ybr="20" rotation="90"/>'
        '<ellipse label="mould" cx="48" cy="24" rx="12" ry="3" rotation="45"/></image>'
        for i in range(4)
    )
    (tmp_path / 'annotations.xml').write_text(f'<annotations>{rows}</annotations>')
    _, label = labels_of(init_data(tmp_path).file)
    wanted = np.zeros(SIZE, np.uint8)
    wanted[10:26, 14:18] = 1
    assert (label[:, :32] == wanted[:, :32]).all()
    assert label[30, 54] == label[18, 42] == 2  # clockwise: from the upper left to the lower right
    assert label[18, 54] == label[30, 42] == 0


def test_a_second_data_file_leaves_the_masks_of_the_first(tmp_path):
    images(tmp_path)
    put(tmp_path, 'a.json', coco())
    first = init_data(tmp_path).file
    (tmp_path / 'names.txt').write_text('mould\nleaf\n')
    other = init_data(tmp_path, out=tmp_path / 'b.yaml', classes=str(tmp_path / 'names.txt')).file
    assert (labels_of(first)[1] == expected()).all()
    assert (labels_of(other)[1] == expected(2, 1)).all()
    assert (tmp_path / 'masks_from_polygons/b.yaml/images/0.png').is_file()
