"""One's own data: folders and csv, faults in them, and labels of every layout."""

import numpy as np
import pytest
from mmseg.registry import DATASETS
from PIL import Image

from rein_seg.config.checks import check_labels
from rein_seg.datasets import LoadLabels
from rein_seg.errors import UserError

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='PackDomainInputs'),
]


def draw(root, *names, value=0, size=(4, 6)):
    """Writes pictures of one value; in an image it is the red channel."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full(size, value, np.uint8)).save(path)


def build(root, kind='BinaryFolderDataset', **options):
    cfg = dict(type=kind, domain='d', data_root=str(root), pipeline=PIPELINE)
    cfg['serialize_data'] = False  # mmengine's collects garbage each time
    return DATASETS.build({**cfg, **options})


def values(dataset):
    """Returns name of the image -> class indexes of its label."""
    found = {}
    for i in range(len(dataset)):
        data = dataset[i]['data_samples']
        name = data.img_path.rsplit('/', 1)[-1]
        found[name] = data.gt_sem_seg.data.unique().tolist()
    return found


@pytest.fixture
def masks(tmp_path):
    draw(tmp_path, 'images/a.jpg', 'images/b.PNG', 'images/sub/c.tif')
    draw(tmp_path, 'masks/a.png', 'masks/sub/c.gif', value=255)
    draw(tmp_path, 'masks/b.png')
    return tmp_path


def test_defaults_pair_mixed_formats(masks):
    dataset = build(masks)
    assert values(dataset) == {'a.jpg': [1], 'b.PNG': [0], 'c.tif': [1]}
    assert dataset.metainfo['classes'] == ('background', 'foreground')
    check_labels(dataset)


def test_the_thing_has_a_name(masks):
    dataset = build(masks, metainfo=dict(classes=('background', 'polyp')))
    assert dataset.metainfo['classes'] == ('background', 'polyp')
    assert len(dataset.metainfo['palette']) == 2
    with pytest.raises(UserError, match='expected the background and one thing'):
        build(masks, metainfo=dict(classes=('a', 'b', 'c')))


def test_other_ids_and_the_inverse(masks):
    draw(masks, 'masks/b.png', value=7)
    with pytest.raises(UserError, match=r"b.png' holds the ids \[7\].*threshold=128; other ids"):
        values(build(masks))
    with pytest.raises(UserError, match=r'holds the ids \[7\]'):
        check_labels(build(masks))
    found = values(build(masks, label_map={255: 0, 7: 255}))
    assert found == {'a.jpg': [0], 'b.PNG': [255], 'c.tif': [0]}
    assert values(build(masks, threshold=8)) == {'a.jpg': [1], 'b.PNG': [0], 'c.tif': [1]}


def test_suffixes_in_one_folder(tmp_path):
    draw(tmp_path, 'all/x_1.png', 'all/x_2.png')
    draw(tmp_path, 'all/x_1_segmentation.png', 'all/x_2_segmentation.png', value=1)
    prefix = dict(img_path='all', seg_map_path='all')
    dataset = build(
        tmp_path, data_prefix=prefix, img_suffix='.png', seg_map_suffix='_segmentation.png'
    )
    assert values(dataset) == {'x_1.png': [1], 'x_2.png': [1]}


def test_split_as_sub_folder_in_the_path_and_as_a_file(tmp_path):
    for split in ('train', 'val'):
        draw(tmp_path, f'images/{split}/{split}.png', f'masks/{split}/{split}.png')
        draw(tmp_path, f'{split}/i/{split}.png', f'{split}/m/{split}.png')
    assert list(values(build(tmp_path, split='val'))) == ['val.png']
    prefix = dict(img_path='{split}/i', seg_map_path='{split}/m')
    assert list(values(build(tmp_path, split='train', data_prefix=prefix))) == ['train.png']
    (tmp_path / 'val.txt').write_text('val/val\n')
    assert list(values(build(tmp_path, ann_file='val.txt'))) == ['val.png']
    (tmp_path / 'val.txt').write_text('val/val.png\n')
    assert list(values(build(tmp_path, ann_file='val.txt'))) == ['val.png']


def test_part_of_data_without_a_validation_split(tmp_path):
    names = [f'{i:02d}' for i in range(25)]
    draw(tmp_path, *(f'{kind}/{n}.png' for kind in ('images', 'masks') for n in names))
    held = [f'{n}.png' for n in ('09', '19')]
    assert list(values(build(tmp_path, part='val'))) == held
    train = list(values(build(tmp_path, part='train')))
    assert len(train) == 23
    assert not set(train) & set(held)
    assert len(build(tmp_path, part='val', hold_out=5)) == 5
    with pytest.raises(UserError, match="part='valid'; did you mean 'val'"):
        build(tmp_path, part='valid')
    with pytest.raises(UserError, match="part='val' of 25 images with hold_out=26 is empty"):
        build(tmp_path, part='val', hold_out=26)


CSV = {
    'no header': 'images/a.jpg,masks/a.png\nimages/b.PNG,masks/b.png\n',
    'header': 'image,label\nimages/a.jpg,masks/a.png\nimages/b.PNG,masks/b.png\n',
    'index column and BOM': '\ufeff,image,label\n0,images/a.jpg,masks/a.png\n'
    '1,images/b.PNG,masks/b.png\n\n',
    'named': 'truth,picture\nmasks/a.png,images/a.jpg\nmasks/b.png,images/b.PNG\n',
}


@pytest.mark.parametrize('folder', ['', 'lists/'])
@pytest.mark.parametrize('kind', CSV)
def test_csv(masks, kind, folder):
    """Paths relative to the csv's folder, or to data_root."""
    path = masks / f'{folder}train.csv'
    path.parent.mkdir(exist_ok=True)
    path.write_text(CSV[kind])
    columns = ('picture', 'truth') if kind == 'named' else None
    dataset = build(masks, csv=f'{folder}{{split}}.csv', split='train', csv_columns=columns)
    assert values(dataset) == {'a.jpg': [1], 'b.PNG': [0]}


BAD_CSV = {
    'names 2 files of 4 that are not there; first: .*images/x.png': 'images/x.png,masks/x.png\n'
    'images/a.jpg,masks/a.png\n',
    'first: .*picture.*csv_columns': 'picture,truth\nimages/a.jpg,masks/a.png\n',
    "has 1 rows without two columns, first: .'images/a.jpg;masks/a.png'": (
        'images/a.jpg;masks/a.png\n'
    ),
    'has no rows': 'image,label\n',
}


@pytest.mark.parametrize('message', BAD_CSV)
def test_bad_csv(masks, message):
    (masks / 'l.csv').write_text(BAD_CSV[message])
    with pytest.raises(UserError, match=f"domain 'd': csv .*{message}"):
        build(masks, csv='l.csv')


def test_csv_that_is_not_there_and_options_beside_it(masks):
    with pytest.raises(UserError, match=r"l.csv' does not exist"):
        build(masks, csv='l.csv')
    (masks / 'l.csv').write_text(CSV['header'])
    with pytest.raises(UserError, match=r"has the columns \['image', 'label'\], not \['a', 'b'\]"):
        build(masks, csv='l.csv', csv_columns=('a', 'b'))
    with pytest.raises(UserError, match="img_suffix would have no effect beside csv='l.csv'"):
        build(masks, csv='l.csv', img_suffix='.png')


def test_missing_pairs_and_empty_folders(masks):
    (masks / 'masks/a.png').unlink()
    with pytest.raises(UserError, match=r'1 of 3 images have no label; first: .*a.jpg.*a.png'):
        build(masks)
    (masks / 'images/a.jpg').unlink()
    (masks / 'images/b.PNG').unlink()
    with pytest.raises(UserError, match=r'1 of 2 labels have no image; first: .*b.png.*img_suffix'):
        build(masks)
    assert list(values(build(masks, extra_labels=True))) == ['c.tif']
    draw(masks, 'masks/sub/c.png')
    with pytest.raises(UserError, match="two files of one name, 'sub/c.gif' and 'sub/c.png'"):
        build(masks)
    (masks / 'empty').mkdir()
    prefix = dict(img_path='empty')
    with pytest.raises(UserError, match="no file ends in '.jpg' or .* in .*empty"):
        build(masks, data_prefix=prefix)
    with pytest.raises(UserError, match="folder of images .*nothing' does not exist"):
        build(masks, data_prefix=dict(img_path='nothing'))


def test_sizes_that_differ_are_refused_when_read_and_before(masks):
    draw(masks, 'masks/a.png', size=(6, 4))
    message = r"masks/a.png' is \(6, 4\), its image .*images/a.jpg' \(4, 6\) \(height, width\)"
    dataset = build(masks)
    with pytest.raises(UserError, match=message):
        dataset[0]
    with pytest.raises(UserError, match=message):
        check_labels(dataset)


def test_a_halved_image_keeps_the_size_of_its_file(masks):
    info = build(masks).get_data_info(0)
    LoadLabels()({**info, 'ori_shape': (2, 3), 'file_shape': (4, 6)})


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(threshold=0), 'expected a grey value of 1 to 255'),
        (dict(threshold=128, label_map={0: 0}), 'and no label_map beside it'),
        (dict(label_colours=[[0, 0, 0]]), 'label_colours is for FolderDataset'),
        (dict(hold_out=1), 'hold_out=1; expected 2 or more'),
    ],
)
def test_options_that_would_mislead(masks, options, message):
    with pytest.raises(UserError, match=message):
        build(masks, **options)


THREE = dict(classes=('wall', 'roof', 'sky'))


def test_multi_class_ids_are_checked_and_mapped(tmp_path):
    for value in (0, 2, 255):
        draw(tmp_path, f'images/{value}.jpg', f'labels/{value}.png', value=value)
    dataset = build(tmp_path, 'FolderDataset', metainfo=THREE)
    assert values(dataset) == {'0.jpg': [0], '2.jpg': [2], '255.jpg': [255]}
    assert len(dataset.metainfo['palette']) == 3
    dataset = build(tmp_path, 'FolderDataset', metainfo=THREE, label_map={0: 255, 2: 0, 255: 1})
    assert values(dataset) == {'0.jpg': [255], '2.jpg': [0], '255.jpg': [1]}
    draw(tmp_path, 'labels/2.png', value=3)
    with pytest.raises(UserError, match=r'holds the ids \[3\], outside its label space \(0 to 2'):
        values(build(tmp_path, 'FolderDataset', metainfo=THREE))
    with pytest.raises(UserError, match='its classes have no names'):
        build(tmp_path, 'FolderDataset')


def test_multi_class_in_colours(tmp_path):
    draw(tmp_path, 'images/x.jpg')
    rgb = np.zeros((4, 6, 3), np.uint8)
    rgb[:, 2:4], rgb[:, 4:] = (0, 0, 255), (255, 255, 255)
    (tmp_path / 'labels').mkdir()
    Image.fromarray(rgb).save(tmp_path / 'labels/x.png')
    colours = [[0, 0, 0], [0, 0, 255], [255, 255, 255]]
    options = dict(kind='FolderDataset', metainfo=THREE)
    assert values(build(tmp_path, label_colours=colours, **options)) == {'x.jpg': [0, 1, 2]}
    void = dict(label_colours=[*colours, [9, 9, 9]], label_map={0: 1, 1: 0, 2: 255, 3: 2})
    assert values(build(tmp_path, **void, **options)) == {'x.jpg': [0, 1, 255]}
    with pytest.raises(UserError, match='label_colours has 4 colours for 3 classes'):
        build(tmp_path, label_colours=void['label_colours'], **options)
    with pytest.raises(UserError, match='expected one channel of ids, not colours .*label_colours'):
        values(build(tmp_path, **options))
