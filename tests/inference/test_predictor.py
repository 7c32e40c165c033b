"""A predictor takes any source of any size, and gives mmseg's own result where mmseg has one."""

import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from rein_seg.apis import Prediction, Predictor, predict
from rein_seg.errors import UserError
from tests.inference.pixels import picture, reference
from tests.inference.tiny_models import SLIDE, tiny_model

MODES = {'whole': None, 'slide': SLIDE}
SIZES = [(64, 96), (33, 17), (1, 1), (1, 50), (40, 31)]


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('size', SIZES)
def test_an_image_of_any_size_gets_the_labels_of_mmseg(mode, size):
    model = tiny_model(test_cfg=MODES[mode])
    image = picture(*size)
    result = Predictor(model).predict(image, scores=True)
    label, logits = reference(model, image)
    assert result.map.dtype == np.uint8
    np.testing.assert_array_equal(result.map, label)
    np.testing.assert_allclose(result.scores, logits.softmax(0).numpy(), atol=1e-6)
    assert result.confidence == pytest.approx(result.scores.max(0).mean(), abs=1e-6)
    np.testing.assert_array_equal(predict(model, image[..., ::-1].copy()), label)


def test_more_than_255_classes_need_wider_numbers(tmp_path):
    result = Predictor(tiny_model(num_classes=300)).predict(picture(24, 16))
    assert result.map.dtype == np.uint16
    path = result.save(tmp_path / 'map.png')
    with Image.open(path) as saved:
        assert saved.mode.startswith('I;16')
        np.testing.assert_array_equal(np.asarray(saved), result.map)


def test_a_saved_map_has_the_indexes_and_the_palette(tmp_path):
    result = Predictor(tiny_model()).predict(picture(24, 16))
    with Image.open(result.save(tmp_path / 'deep' / 'map.png')) as saved:
        assert saved.mode == 'P'
        np.testing.assert_array_equal(np.asarray(saved), result.map)
        assert saved.getpalette()[:15] == result.palette.ravel().tolist()
    with pytest.raises(UserError, match=r"map 'x.jpg': expected a name in .png"):
        result.save('x.jpg')
    assert [path.name for path in (tmp_path / 'deep').iterdir()] == ['map.png']


def test_each_kind_of_source_gives_the_same_map(tmp_path):
    predictor = Predictor(tiny_model())
    image = picture(40, 24)
    path = tmp_path / 'street.png'
    Image.fromarray(image).save(path)
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    expected = predictor.predict(image)
    assert expected.name == 'image'
    for source in (str(path), path, Image.fromarray(image), tensor, tensor / 255):
        result = predictor.predict(source)
        assert isinstance(result, Prediction)
        np.testing.assert_array_equal(result.map, expected.map)
    assert predictor.predict(path).name == str(path)
    for several in ([image, path], (image,), tensor[None], torch.stack([tensor, tensor]) / 255):
        results = predictor.predict(several)
        assert isinstance(results, list)
        assert len(results) == len(several)
        assert all((one.map == expected.map).all() for one in results)
    assert predictor.predict([]) == []


def test_grey_is_three_equal_channels():
    predictor = Predictor(tiny_model())
    grey = picture(40, 24)[..., 0]
    same = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(predictor.predict(grey).map, predictor.predict(same).map)


def test_rgb_is_the_order_of_channels():
    model = tiny_model()
    image = picture(40, 24)
    label, _ = reference(model, image)
    swapped, _ = reference(model, image[..., ::-1])
    assert (label != swapped).any()
    np.testing.assert_array_equal(Predictor(model).predict(image).map, label)


@pytest.mark.parametrize(
    ('source', 'words'),
    [
        (np.zeros((4, 4, 4), np.uint8), r'shape \(4, 4, 4\): expected uint8 \(H, W, 3\) in RGB'),
        (np.zeros((4, 4, 3)), 'array of float64'),
        (np.zeros((0, 4, 3), np.uint8), r'shape \(0, 4, 3\)'),
        (torch.zeros(1, 4, 4), r'tensor of torch.float32 and shape \(1, 4, 4\)'),
        (torch.full((3, 4, 4), -2.0), 'values of -2 to -2: expected 0..1'),
        (torch.zeros(3, 4, 4, dtype=torch.int64), 'int64'),
        (7, 'image is of type int: expected a path'),
        ([np.zeros((4, 4, 3), np.uint8), None], 'image 1 is of type NoneType'),
        ('nowhere.png', "image 'nowhere.png' does not exist"),
    ],
)
def test_another_source_is_an_error_of_one_line(source, words):
    with pytest.raises(UserError, match=words) as caught:
        Predictor(tiny_model()).predict(source)
    assert '\n' not in str(caught.value)


def test_a_folder_is_predicted_image_by_image(tmp_path):
    predictor = Predictor(tiny_model())
    for name in ('b/2.png', 'b/10.png', 'a.JPG', 'notes.txt', '.hidden.png', 'clip.mp4'):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if path.suffix in ('.txt', '.mp4'):
            path.write_text('not an image')
        else:
            Image.fromarray(picture(16, 24)).save(path)
    results = predictor.predict(tmp_path)
    names = [str(tmp_path / name) for name in ('a.JPG', 'b/2.png', 'b/10.png')]
    assert [one.name for one in results] == names
    assert len(results) == 3
    assert results[-1].name == names[-1]
    assert [one.name for one in results[1:]] == names[1:]
    assert [one.name for one in predictor.predict(f'{tmp_path}/b/*.png')] == names[1:]
    with zipfile.ZipFile(tmp_path / 'all.zip', 'w') as archive:
        archive.write(names[1], 'in.png')
    zipped = predictor.predict(tmp_path / 'all.zip')
    assert [one.name for one in zipped] == [f'zip://{tmp_path}/all.zip/in.png']
    np.testing.assert_array_equal(zipped[0].map, results[1].map)
    (tmp_path / 'videos').mkdir()
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'clip.mp4').rename(tmp_path / 'videos/clip.mp4')
    for folder in ('empty', 'videos'):
        with pytest.raises(UserError, match='no image found in'):
            predictor.predict(tmp_path / folder)
    with pytest.raises(UserError, match=r'is a video: .*rein-seg predict'):
        predictor.predict(tmp_path / 'videos/clip.mp4')


def test_shares_and_overlay():
    predictor = Predictor(tiny_model())
    image = picture(40, 300)
    result = predictor.predict(image, overlay=True)
    assert sum(result.shares.values()) == pytest.approx(1)
    assert list(result.shares) == list(predictor.classes)
    counts = [(result.map == i).mean() for i in range(5)]
    assert list(result.shares.values()) == pytest.approx(counts)
    painted = result.overlay(alpha=0.25)
    assert painted.dtype == np.uint8
    assert painted.shape[1] == 300
    assert painted.shape[0] > 40
    expected = np.rint(image * 0.75 + result.palette[result.map] * 0.25)
    assert abs(painted[:40] - expected).max() <= 1
    assert result.overlay(legend=False).shape == image.shape
    with pytest.raises(UserError, match='overlay=True'):
        predictor.predict(image).overlay()
    with pytest.raises(UserError, match='alpha=1.5'):
        result.overlay(alpha=1.5)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(max_tokens=3), 'max_tokens=3'),
        (dict(max_tokens=True), 'max_tokens=True'),
        (dict(tta='yes'), "tta='yes'"),
        (dict(tta=[0]), r'tta=\[0\]'),
        (dict(tta=dict(scale=[1])), 'expected True, False'),
    ],
)
def test_options_are_checked_before_any_image_is_read(options, words):
    with pytest.raises(UserError, match=words):
        Predictor(tiny_model()).predict('nowhere.png', **options)


def test_threads_wait_for_each_other():
    predictor = Predictor(tiny_model())
    images = [picture(40, 8 * (3 + i % 3), seed=i) for i in range(12)]
    expected = [predictor.predict(image).map for image in images]
    with ThreadPoolExecutor(4) as pool:
        for result, label in zip(pool.map(predictor.predict, images), expected, strict=True):
            np.testing.assert_array_equal(result.map, label)
