"""Classes, ids and palette are proposed from the labels."""

import numpy as np
import pytest
import yaml
from mmseg.registry import DATASETS
from PIL import Image

from rein_seg.config.data_file import read_benchmark
from rein_seg.errors import UserError
from rein_seg.own_data import init_data
from rein_seg.own_data.class_names import read_names
from tests.own_data.made import SIZE, photo, save, stripes


def proposed(folder, label, number=4, suffix='png', size=SIZE, **options):
    """Returns the data file of images with one label, and the ids that a run reads in it."""
    for i in range(number):
        save(folder / f'images/{i}.jpg', photo(stripes(0, 1, size=size)))
        path = folder / f'labels/{i}.{suffix}'
        path.parent.mkdir(exist_ok=True)
        (label if isinstance(label, Image.Image) else Image.fromarray(label)).save(path)
    file = init_data(folder, name='town', **options).file
    own = read_benchmark(str(file))
    node = {**own.train[0].node, 'data_root': own.data_root, 'pipeline': [dict(type='LoadLabels')]}
    return yaml.safe_load(file.read_text()), DATASETS.build(node)[0]['gt_seg_map'][0]


def test_ids_and_255(tmp_path):
    content, row = proposed(tmp_path, stripes(3, 7, 255))
    assert content['classes'] == {3: 'class_3', 7: 'class_7'}
    assert content['ignore'] == [255]
    assert row[[0, 30, 63]].tolist() == [0, 1, 255]


def test_masks_of_0_and_255(tmp_path):
    content, row = proposed(tmp_path, stripes(0, 255))
    assert content['classes'] == {0: 'background', 255: 'foreground'}
    assert row[[0, 63]].tolist() == [0, 1]


def test_one_bit(tmp_path):
    content, row = proposed(tmp_path, Image.fromarray(stripes(0, 255)).convert('1'))
    assert len(content['classes']) == 2
    assert row[[0, 63]].tolist() == [0, 1]


def test_soft_masks_in_jpeg(tmp_path):
    content, row = proposed(tmp_path, stripes(0, 255), suffix='jpg')
    assert content['threshold'] == 128
    assert content['classes'] == ['background', 'foreground']
    assert row[[0, 63]].tolist() == [0, 1]


def test_a_palette_gives_the_colours(tmp_path):
    label = Image.fromarray(stripes(0, 1, 2))
    label.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 759)
    content, row = proposed(tmp_path, label)
    assert content['palette']['class_1'] == [128, 0, 0]
    assert row[[0, 30, 63]].tolist() == [0, 1, 2]


def test_colours(tmp_path):
    colours = np.uint8([[0, 0, 0], [128, 64, 128], [70, 130, 180]])
    content, row = proposed(tmp_path, colours[stripes(0, 1, 2)])
    assert content['classes'] == ['colour_000000', 'colour_4682b4', 'colour_804080']
    assert content['label_colours']['colour_804080'] == [128, 64, 128]
    assert row[[0, 30, 63]].tolist() == [0, 2, 1]


def test_ids_stored_as_grey_colours(tmp_path):
    grey = np.repeat(stripes(0, 1, 255)[..., None], 3, axis=2)
    content, row = proposed(tmp_path, grey)
    assert content['classes'] == ['class_0', 'class_1']
    assert content['palette']['class_1'] == [0, 255, 0]
    assert row[[0, 30, 63]].tolist() == [0, 1, 255]


def test_names_of_colours_leave_the_rest_ignored(tmp_path):
    colours = np.uint8([[0, 0, 0], [128, 64, 128], [70, 130, 180]])
    (tmp_path / 'class_dict.csv').write_text('name,r,g,b\nsky,70,130,180\nroad,128,64,128\n')
    content, row = proposed(tmp_path, colours[stripes(0, 1, 2)])
    assert content['classes'] == ['sky', 'road']
    assert content['ignore'] == [[0, 0, 0]]
    assert row[[0, 30, 63]].tolist() == [255, 1, 0]


@pytest.mark.parametrize(
    'text', ['road\nsky\nhouse\n', '0 road\n1 sky\n2 house', '0: road\n1: sky\n2: house']
)
def test_names_from_a_file(tmp_path, text):
    (tmp_path / 'names').write_text(text)
    content, _ = proposed(tmp_path, stripes(0, 2, 255), classes=str(tmp_path / 'names'))
    assert content['classes'] == {0: 'road', 1: 'sky', 2: 'house'}


def test_a_file_of_other_names_in_the_folder_is_not_taken(tmp_path):
    (tmp_path / 'labels.txt').write_text('a.png 3 4\nb.png\n')
    content, _ = proposed(tmp_path, stripes(0, 1))
    assert list(content['classes'].values()) == ['class_0', 'class_1']
    (tmp_path / 'labels.txt').write_text('road\nsky\n')
    done = init_data(tmp_path, out=tmp_path / 'b.yaml')
    assert list(yaml.safe_load(done.file.read_text())['classes'].values()) == ['road', 'sky']
    assert done.report.endswith('names from labels.txt')


def test_names_that_do_not_fit(tmp_path):
    (tmp_path / 'names').write_text('road\nsky\n')
    with pytest.raises(UserError, match='2 names of classes for labels with 3 values'):
        proposed(tmp_path, stripes(0, 1, 2), classes=str(tmp_path / 'names'))
    (tmp_path / 'names').write_text('road\nroad\n')
    with pytest.raises(UserError, match="'road' twice"):
        proposed(tmp_path, stripes(0, 1), classes=str(tmp_path / 'names'))


def test_colours_in_jpeg_are_refused(tmp_path):
    colours = np.uint8([[0, 0, 0], [200, 30, 30], [30, 30, 200]])
    with pytest.raises(UserError, match='compressed with loss'):
        proposed(tmp_path, colours[stripes(0, 1, 2)], suffix='jpg')
    assert not (tmp_path / 'data.yaml').exists()


def test_smoothed_colours_are_refused(tmp_path):
    colours = np.uint8([[0, 0, 0], [200, 30, 30], [30, 30, 200]])
    large = Image.fromarray(colours[stripes(0, 1, 2, size=(240, 320))])
    with pytest.raises(UserError, match='they look blurred'):
        proposed(tmp_path, large.rotate(33, Image.Resampling.BICUBIC), size=(240, 320))


def test_one_class_is_refused(tmp_path):
    with pytest.raises(UserError, match='the labels hold one class'):
        proposed(tmp_path, stripes(1, 255))


VOC = [0, 0, 0, 128, 64, 128, 70, 130, 180, 64, 0, 0] + [0] * 756


def test_names_by_colour_fit_ids_with_a_palette(tmp_path):
    label = Image.fromarray(stripes(0, 1, 2))
    label.putpalette(VOC)
    text = 'sky 70 130 180\nroad 128 64 128\nvoid 0 0 0\nhouse 64 0 0\n'
    (tmp_path / 'labelmap.txt').write_text(text)
    content, row = proposed(tmp_path, label)
    assert content['classes'] == {2: 'sky', 1: 'road', 0: 'void', 3: 'house'}
    assert content['palette']['house'] == [64, 0, 0]
    assert row[[0, 30, 63]].tolist() == [2, 1, 0]


def test_names_by_id_fit_ids_stored_as_grey_colours(tmp_path):
    (tmp_path / 'names').write_text('0 background\n1 leaf\n')
    grey = np.repeat(stripes(0, 1, 255)[..., None], 3, axis=2)
    content, row = proposed(tmp_path, grey, classes=str(tmp_path / 'names'))
    assert content['label_colours'] == {'background': [0, 0, 0], 'leaf': [1, 1, 1]}
    assert row[[0, 30, 63]].tolist() == [0, 1, 255]


def test_names_by_grey_fit_masks_of_values(tmp_path):
    (tmp_path / 'names').write_text('polyp 255 255 255\nbackground 0 0 0\n')
    content, _ = proposed(tmp_path, stripes(0, 255), classes=str(tmp_path / 'names'))
    assert content['classes'] == {255: 'polyp', 0: 'background'}


@pytest.mark.parametrize('text', ['7 road\n9 sky', '0 road\n9 sky', 'road 128 64 128\nsky 1 2 3'])
def test_names_of_what_labels_do_not_have(tmp_path, text):
    (tmp_path / 'names').write_text(text)
    with pytest.raises(
        UserError, match=r'names of classes are given for \[.*labels have \[0, 1, 2'
    ):
        proposed(tmp_path, stripes(0, 1, 2), classes=str(tmp_path / 'names'))
    (tmp_path / 'names').rename(tmp_path / 'classes.txt')
    done = init_data(tmp_path)
    assert 'classes.txt is not used: names of classes are given for' in done.report


def test_names_of_soft_masks_are_in_the_order_of_ids(tmp_path):
    (tmp_path / 'names').write_text('255 polyp\n0 background\n')
    content, row = proposed(
        tmp_path, stripes(0, 255), suffix='jpg', classes=str(tmp_path / 'names')
    )
    assert content['classes'] == ['background', 'polyp']
    assert row[[0, 63]].tolist() == [0, 1]


def test_names_without_colours_are_refused_for_colours(tmp_path):
    colours = np.uint8([[0, 0, 0], [128, 0, 0], [0, 128, 0]])[stripes(0, 1, 2)]
    (tmp_path / 'names').write_text('background\naeroplane\nbicycle\n')
    with pytest.raises(UserError, match='3 names without colours.*"name r g b"'):
        proposed(tmp_path, colours, classes=str(tmp_path / 'names'))
    (tmp_path / 'names').rename(tmp_path / 'classes.txt')
    done = init_data(tmp_path)
    assert yaml.safe_load(done.file.read_text())['classes'][0] == 'colour_000000'
    assert 'classes.txt is not used: 3 names without colours' in done.report


def test_names_without_colours_fit_grey_colours(tmp_path):
    (tmp_path / 'names').write_text('background\nleaf\nstem\n')
    grey = np.repeat(stripes(0, 1, 255)[..., None], 3, axis=2)
    content, _ = proposed(tmp_path, grey, classes=str(tmp_path / 'names'))
    assert content['label_colours']['stem'] == [2, 2, 2]


def test_spread_ids_are_no_soft_mask(tmp_path):
    label = stripes(*[0] * 31, 63, 127, 191, *[255] * 30)
    content, row = proposed(tmp_path, label)
    assert content['classes'] == {i: f'class_{i}' for i in (0, 63, 127, 191)}
    assert row[[0, 63]].tolist() == [0, 255]


def test_soft_masks_in_png(tmp_path):
    content, _ = proposed(tmp_path, stripes(*[0] * 99, *range(10, 250, 10), *[255] * 165,
                                            size=(48, 288)), size=(48, 288))  # fmt: skip
    assert content['threshold'] == 128


def test_colours_before_names(tmp_path):
    (tmp_path / 'label_colors.txt').write_text('64 128 64\tAnimal\n192 0 128\t\tRoad works\n')
    names = read_names(tmp_path / 'label_colors.txt')
    assert names == {0x408040: 'Animal', 0xC00080: 'Road works'}


def test_unlabelled_is_for_polygons(tmp_path):
    with pytest.raises(UserError, match='--unlabelled ignore.*no export of polygons'):
        proposed(tmp_path, stripes(0, 1, 2), unlabelled='ignore')


def test_names_by_grey_fit_ids_with_a_palette_of_greys(tmp_path):
    label = Image.fromarray(stripes(0, 1))
    label.putpalette([0, 0, 0, 255, 255, 255] + [0] * 762)
    (tmp_path / 'names').write_text('255 polyp\n0 background\n')
    content, row = proposed(tmp_path, label, classes=str(tmp_path / 'names'))
    assert content['classes'] == {1: 'polyp', 0: 'background'}
    assert row[[0, 63]].tolist() == [1, 0]


def test_masks_smoothed_in_sixteen_steps(tmp_path):
    label = stripes(*[0] * 99, *range(16, 256, 16), *[255] * 174, size=(48, 288))
    content, _ = proposed(tmp_path, label, size=(48, 288))
    assert content['threshold'] == 128
