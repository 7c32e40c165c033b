import cv2
import numpy as np
import pytest
from mmseg.registry import TRANSFORMS
from PIL import Image

from rein_seg.datasets import CITYSCAPES_LABEL_IDS
from rein_seg.datasets.transforms.labels import LoadLabels, PackDomainInputs, map_ids, read_label
from rein_seg.errors import UserError


def test_cityscapes_ids_map_to_the_19_classes():
    raw = np.array([[7, 8, 11, 33], [0, 34, 255, 24]], np.uint8)
    expected = np.array([[0, 1, 2, 18], [255, 255, 255, 11]], np.uint8)
    np.testing.assert_array_equal(map_ids(raw, CITYSCAPES_LABEL_IDS, num_classes=19), expected)
    assert sorted(v for v in CITYSCAPES_LABEL_IDS.values() if v != 255) == list(range(19))


def test_identity_keeps_class_indexes_and_ignored():
    raw = np.array([[0, 2, 255]], np.uint8)
    np.testing.assert_array_equal(map_ids(raw, None, num_classes=3), raw)


@pytest.mark.parametrize('bad', [3, 200])
def test_unknown_ids_are_named(bad):
    with pytest.raises(UserError, match=rf"'a.png' holds the ids \[{bad}\], outside its label"):
        map_ids(np.array([[0, bad]], np.uint8), None, num_classes=3, path='a.png')


def test_sixteen_bit_ids_beyond_the_table_are_named():
    with pytest.raises(UserError, match=r'holds the ids \[300\]'):
        map_ids(np.array([[0, 300]], np.uint16), None, num_classes=3)


def test_palette_png_keeps_its_indexes(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), mode='P')
    image.putpalette([9, 9, 9, 8, 8, 8, 7, 7, 7])
    image.save(tmp_path / 'p.png')
    np.testing.assert_array_equal(read_label(str(tmp_path / 'p.png')), [[0, 1], [2, 1]])


def test_colour_and_damaged_labels_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / 'rgb.png'), np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(UserError, match='expected one channel of ids'):
        read_label(str(tmp_path / 'rgb.png'))
    data = (tmp_path / 'rgb.png').read_bytes()
    (tmp_path / 'half.png').write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match='cannot be read'):
        read_label(str(tmp_path / 'half.png'))


def test_load_and_pack_keep_the_domain(tmp_path):
    cv2.imwrite(str(tmp_path / 'l.png'), np.full((4, 6), 2, np.uint8))
    results = dict(
        seg_map_path=str(tmp_path / 'l.png'),
        num_classes=3,
        ignore_index=255,
        id_map={2: 1},
        seg_fields=[],
        domain='night',
        img=np.zeros((4, 6, 3), np.uint8),
        img_path='x',
        ori_shape=(4, 6),
        img_shape=(4, 6),
    )
    packed = PackDomainInputs()(LoadLabels()(results))
    assert packed['data_samples'].domain == 'night'
    assert packed['data_samples'].gt_sem_seg.data.unique().tolist() == [1]
    assert packed['inputs'].shape == (3, 4, 6)


def test_random_scale_is_of_the_images_own_size():
    resize = TRANSFORMS.build(dict(type='RandomScale', ratio_range=(0.5, 2.0)))
    shapes = set()
    for seed in range(8):
        np.random.seed(seed)  # noqa: NPY002
        image, label = np.zeros((40, 60, 3), np.uint8), np.full((40, 60), 7, np.uint8)
        found = resize(dict(img=image, gt_seg_map=label, seg_fields=['gt_seg_map']))
        height, width = found['img'].shape[:2]
        assert found['gt_seg_map'].shape == found['img_shape'] == (height, width)
        assert abs(height / 40 - width / 60) < 0.02
        assert 20 <= height <= 80
        assert set(found['gt_seg_map'].ravel()) == {7}
        shapes.add((height, width))
    assert len(shapes) == 8
    with pytest.raises(UserError, match=r'ratio_range=\(2.0, 0.5\): expected two factors'):
        TRANSFORMS.build(dict(type='RandomScale', ratio_range=(2.0, 0.5)))
