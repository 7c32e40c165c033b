"""Data of one's own that mean something else than they seem: said before a run, never after."""

import shutil

import numpy as np
import pytest
from PIL import Image

from rein_seg.apis import load_config
from rein_seg.config.checks import check_run
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from tests.cli.calls import assert_refused, call
from tests.run.town import draw_town, image, label, put, write_town


def train(folder, *options, **config):
    """Trains; returns exit code and stderr."""
    words = ['train', write_town(folder, **config), '--work-dir', folder / 'run']
    return call(*words, *(['--cfg-options', *options] if options else []))


def warnings_of(folder, **config):
    """Returns the warnings of the checks before a training run, which find no fault."""
    cfg = load_config(write_town(folder, **config), work_dir=str(folder / 'run'))
    return check_run(resolve(cfg, Request(training=True)).cfg, training=True).warnings


def check(folder, **config):
    """Checks the data; returns exit code and stderr."""
    return call('check-data', write_town(folder, **config), '--out', folder / 'checked')


def refused(folder, *parts, **config):
    """Asserts that a training run is refused before its work folder holds a checkpoint."""
    assert_refused(*train(folder, **config), *parts)
    assert not list(folder.rglob('*.pth'))


def test_a_town_that_is_right_trains(tmp_path):
    draw_town(tmp_path)
    code, err = train(tmp_path)
    assert code == 0, err


def test_masks_of_0_and_255_are_refused_with_the_way_out(tmp_path, capsys):
    draw_town(tmp_path, values=(0, 255))
    way = ('values 0 and 255 alone', 'BinaryFolderDataset', 'label_map={0: 0, 255: 1}')
    refused(tmp_path, *way)
    capsys.readouterr()
    assert check(tmp_path)[0] == 1
    assert 'masks where class indexes are expected: 1' in capsys.readouterr().out
    assert warnings_of(tmp_path, options='label_map={0: 0, 255: 1}') == []


def test_a_class_that_no_label_has_is_named_by_train_and_by_check(tmp_path, capsys):
    draw_town(tmp_path)
    config = dict(classes=('rest', 'thing', 'ghost'))
    (warning,) = warnings_of(tmp_path, **config)
    assert "no label of the training data has 'ghost' (1 of 3 classes)" in warning
    assert check(tmp_path, **config)[0] == 0
    assert "no label of the training data has 'ghost'" in capsys.readouterr().out
    assert warnings_of(tmp_path) == []


def test_labels_that_are_ignored_everywhere_are_refused(tmp_path):
    draw_town(tmp_path, values=(255,))
    refused(tmp_path, 'all pixels of its 4 labels', 'are ignored (255)')


@pytest.mark.parametrize('number', [256, 300])
def test_more_classes_than_a_byte_holds_are_refused(tmp_path, number):
    draw_town(tmp_path)
    classes = tuple(f'c{i}' for i in range(number))
    refused(tmp_path, f'has {number} classes: expected 2 to 255', classes=classes)
    assert_refused(*check(tmp_path, classes=classes), f'has {number} classes')


def test_255_classes_train(tmp_path):
    draw_town(tmp_path, values=(0, 254, 255))
    assert len(warnings_of(tmp_path, classes=tuple(f'c{i}' for i in range(255)))) == 1


def test_a_value_of_16_bits_beyond_the_classes_is_named(tmp_path):
    draw_town(tmp_path)
    put(tmp_path, 'labels', '2.png', label(0, 300, dtype=np.uint16))
    refused(tmp_path, '2.png', 'holds the ids [300]', '0 to 1')


def test_one_class_is_refused_with_the_way_out(tmp_path):
    draw_town(tmp_path, values=(0, 255))
    refused(
        tmp_path,
        "its only class is 'fg'",
        'loss and gradient are 0',
        "classes=('background', 'fg')",
        'sigmoid',
        classes=('fg',),
    )


@pytest.mark.parametrize('dtype', [np.float32, np.int32])
def test_the_check_reads_images_as_the_run_does(tmp_path, dtype, capsys):
    draw_town(tmp_path)
    (tmp_path / 'town/images/1.png').unlink()
    put(tmp_path, 'images', '1.tif', image(1)[..., 0].astype(dtype))
    refused(tmp_path, '1.tif', f'{np.dtype(dtype)} values of', 'max_value')
    capsys.readouterr()
    assert check(tmp_path)[0] == 1
    assert 'max_value=NUMBER' in capsys.readouterr().out
    assert warnings_of(tmp_path, options='max_value=255') == []


def exif(orientation):
    data = Image.Exif()
    data[274] = orientation
    return data.tobytes()


@pytest.mark.parametrize('orientation', [2, 3, 4, 6])
def test_a_turned_image_needs_a_label_that_can_only_mean_one_thing(tmp_path, orientation):
    size = (32, 32) if orientation == 6 else (32, 64)
    draw_town(tmp_path, size=size)
    put(tmp_path, 'images', '1.png', image(1, size), exif=exif(orientation))
    refused(tmp_path, '1.png', f'orientation {orientation}', "'displayed' or 'stored'")
    put(tmp_path, 'labels', '1.png', label(0, 1, size=size), exif=exif(orientation))
    assert warnings_of(tmp_path) == []


def test_the_size_tells_what_a_turned_image_s_label_was_drawn_on(tmp_path):
    draw_town(tmp_path)
    put(tmp_path, 'images', '1.png', image(1, (64, 32)), exif=exif(6))
    assert warnings_of(tmp_path) == []
    put(tmp_path, 'labels', '1.png', label(0, 1, size=(64, 32)))
    assert_refused(*train(tmp_path), '1.png', "orientation='stored'")


def test_linked_folders_hold_samples_and_what_is_left_out_is_said(tmp_path, capsys):
    draw_town(tmp_path, number=5)
    for kind in ('images', 'labels'):
        store = tmp_path / 'store' / kind
        store.parent.mkdir(exist_ok=True)
        (tmp_path / 'town' / kind).rename(store)
        put(tmp_path, kind, 'own.png', image() if kind == 'images' else label(0, 1))
        (tmp_path / 'town' / kind / 'more').symlink_to(store)
    (tmp_path / 'town/images/.ipynb_checkpoints').mkdir()
    (tmp_path / 'town/images/notes.txt').write_text('')
    capsys.readouterr()
    assert check(tmp_path)[0] == 0
    out = capsys.readouterr().out
    assert 'images: 6, pairs read: 6; left out: 1 hidden, 1 .txt' in out


def test_images_of_several_sizes_without_a_crop_are_refused_before_training(tmp_path):
    draw_town(tmp_path)
    for kind, array in (('images', image(1, (48, 64))), ('labels', label(0, 1, size=(48, 64)))):
        put(tmp_path, kind, '3.png', array)
    refused(tmp_path, 'train_dataloader', '2 sizes', "3.png'", 'batch_size=2', 'RandomCrop')
    one = "train_dataloader['batch_size'] = 1\n"
    assert warnings_of(tmp_path, extra=one) == []


def test_an_odd_size_in_the_validation_data_is_refused_before_training(tmp_path):
    draw_town(tmp_path)
    for kind, array in (('images', image(1, (32, 60))), ('labels', label(0, 1, size=(32, 60)))):
        put(tmp_path, f'val_{kind}', '1.png', array)
        first = image(0) if kind == 'images' else label(0, 1)
        put(tmp_path, f'val_{kind}', '0.png', first)
    prefix = "dict(img_path='val_images', seg_map_path='val_labels')"
    extra = f"val_dataloader['dataset']['data_prefix'] = {prefix}\n"
    refused(tmp_path, 'val_dataloader', '1.png', '(32, 60)', 'multiples of its patch', extra=extra)
    several = f"{extra}val_dataloader['batch_size'] = 2\n"
    refused(tmp_path, 'val_dataloader', '2 sizes', 'batch_size=2', extra=several)


def test_train_and_val_name_their_classes_alike(tmp_path):
    draw_town(tmp_path)
    extra = "val_dataloader['dataset']['metainfo'] = dict(classes=('thing', 'rest'))\n"
    refused(tmp_path, 'name their classes differently', "'rest' and 'thing'", extra=extra)


@pytest.mark.parametrize(
    ('option', 'words'),
    [
        ('model.decode_head.num_classes=3', ('num_classes=3', 'num_classes=2')),
        ('model.decode_head.ignore_index=7', None),
        ('train_dataloader.dataset.ignore_index=1', ("ignore_index=1 is the class 'thing'",)),
    ],
)
def test_one_setting_has_one_place(tmp_path, option, words):
    draw_town(tmp_path)
    code, err = train(tmp_path, option)
    if words is None:
        assert code == 0, err
    else:
        assert_refused(code, err, *words)


def test_pictures_of_a_test_read_images_as_the_run_does(tmp_path):
    draw_town(tmp_path)
    for name in ('1.png', '2.png'):
        (tmp_path / 'town/images' / name).unlink()
    put(tmp_path, 'images', '1.tif', image(1)[..., 0].astype(np.float32))
    put(tmp_path, 'images', '2.jpg', image(2, (64, 32)), exif=exif(6))
    (tmp_path / 'town/images').rename(tmp_path / 'images')
    shutil.make_archive(str(tmp_path / 'town/images'), 'zip', tmp_path, 'images')
    options = "max_value=255, data_prefix=dict(img_path='images.zip'),"
    assert train(tmp_path, options=options)[0] == 0
    words = ['test', write_town(tmp_path, options=options), tmp_path / 'run/adapter.safetensors']
    code, err = call(*words, '--work-dir', tmp_path / 'tested', '--show-dir', tmp_path / 'shown')
    assert code == 0, err
    assert len(list((tmp_path / 'shown').rglob('*.png'))) == 4


def test_the_order_of_classes_is_of_the_training(tmp_path):
    draw_town(tmp_path)
    assert train(tmp_path)[0] == 0
    words = ['test', write_town(tmp_path, classes=('thing', 'rest')), tmp_path / 'run']
    words[-1] /= 'adapter.safetensors'
    code, err = call(*words, '--work-dir', tmp_path / 'tested')
    assert_refused(code, err, "('rest', 'thing')", 'another order')
