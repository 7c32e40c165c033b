"""One picture of a run: a row for each domain, image beside truth beside prediction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from rein_seg.checkpoint import write_png
from rein_seg.datasets import leaf_datasets
from rein_seg.datasets.files.pictures import read_image
from rein_seg.evaluation import score_text

_WIDTH, _GAP, _HEADER = 320, 6, 22
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_INK, _PAPER = (40, 40, 40), 255


@torch.no_grad()
def draw_overview(path: Path, model: nn.Module, dataset: Any, results: dict[str, Any]) -> None:
    """Writes the picture of a run.

    Args:
        path: PNG file; it is complete or absent.
        model: The segmentor.
        dataset: Test data set, of one domain or a concatenation of several.
        results: As in results.json; each row has the main score of its domain.
    """
    palette = np.array(dataset.metainfo['palette'], np.uint8)[:, ::-1]  # OpenCV is BGR
    model.eval()
    rows = [titles(['image', 'truth', 'prediction'])]
    for info, sample in _first_of_each_domain(dataset):
        batch = dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']])
        output = model.test_step(batch)[0]
        label = output.gt_sem_seg.data.squeeze(0).cpu().numpy()
        pred = output.pred_sem_seg.data.squeeze(0).cpu().numpy()
        image = sample_image(info)
        rows.append(
            row(
                _title(output.domain, results),
                [image, colour(label, palette), colour(pred, palette)],
            )
        )
    rows.append(legend(dataset.metainfo['classes'], palette))
    write_png(path, np.vstack(rows))


def _title(domain: str, results: dict[str, Any]) -> str:
    scores = results.get('domains', {}).get(domain, {})
    column = next(iter(results.get('mean_over_targets', {})), None)
    if scores.get(column) is None:
        return domain
    unit = '' if column in results.get('fractions', ()) else ' %'
    return f'{domain}   {column} {score_text(results, column, scores[column])}{unit}'


def colour(label: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Returns (H, W, 3) colours of (H, W) class indexes; pixels without a class are black.

    Example:
        >>> import numpy as np
        >>> from rein_seg.run.report import colour
        >>> red_and_blue = np.array([[0, 0, 255], [255, 0, 0]], np.uint8)  # BGR
        >>> colour(np.array([[0, 1, 255]]), red_and_blue).tolist()
        [[[0, 0, 255], [255, 0, 0], [0, 0, 0]]]
    """
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = palette
    return table[label.astype(np.uint8)]


def _first_of_each_domain(dataset: Any) -> Iterator[tuple[dict, dict]]:
    for part in leaf_datasets(dataset):
        yield part.get_data_info(0), part[0]


def sample_image(info: Mapping[str, Any]) -> np.ndarray:
    """Returns the image of a sample, (H, W, 3) uint8 BGR, as the sample loads it.

    Args:
        info: Fields of a sample.
    """
    white, orientation = info.get('max_value'), info.get('orientation')
    return read_image(info['img_path'], max_value=white, orientation=orientation)


def row(title: str, images: Sequence[np.ndarray]) -> np.ndarray:
    """Returns an image, its truth and its prediction side by side under a title.

    Example:
        >>> import numpy as np
        >>> from rein_seg.run.report import row
        >>> image = np.zeros((100, 200, 3), np.uint8)
        >>> row('fog   mIoU 41.20 %', [image, image, image]).shape  # 3 x 320 and two gaps wide
        (182, 972, 3)
    """
    height = round(images[0].shape[0] * _WIDTH / images[0].shape[1])
    # nearest: a mean of two colours would be a third class
    modes = (cv2.INTER_AREA, cv2.INTER_NEAREST, cv2.INTER_NEAREST)
    cells = [
        cv2.resize(i, (_WIDTH, height), interpolation=m) for i, m in zip(images, modes, strict=True)
    ]
    gap = np.full((height, _GAP, 3), _PAPER, np.uint8)
    strip = np.hstack([cells[0], gap, cells[1], gap, cells[2]])
    return np.vstack([text_line([title], strip.shape[1]), strip])


def titles(words: Sequence[str]) -> np.ndarray:
    """Returns a line with the names of the three columns."""
    return text_line(words, 3 * _WIDTH + 2 * _GAP)


def text_line(words: Sequence[str], width: int) -> np.ndarray:
    """Returns a line of text, a word for each column."""
    line = np.full((_HEADER, width, 3), _PAPER, np.uint8)
    for i, word in enumerate(words):
        at = (i * (_WIDTH + _GAP) + 4, _HEADER - 7)
        cv2.putText(line, printable(word), at, _FONT, 0.45, _INK, 1, cv2.LINE_AA)
    return line


def printable(text: str) -> str:
    r"""Returns text without characters that OpenCV cannot draw, or ends the process on.

    Example:
        >>> from rein_seg.run.report import printable
        >>> printable('a\udcff')
        'a?'
    """
    return ''.join(c if c.isprintable() else '?' for c in text)


def legend(classes: Sequence[str], palette: np.ndarray) -> np.ndarray:
    """Returns the names of the classes beside their colours.

    Args:
        classes: K names.
        palette: (K, 3) uint8 colours in BGR order.
    """
    width, columns = 3 * _WIDTH + 2 * _GAP, 6
    rows = -(-len(classes) // columns)
    drawn = np.full((rows * _HEADER + 8, width, 3), _PAPER, np.uint8)
    for i, name in enumerate(classes):
        x, y = (i % columns) * (width // columns) + 4, (i // columns) * _HEADER + 8
        cv2.rectangle(drawn, (x, y), (x + 14, y + 12), palette[i].tolist(), -1)
        cv2.putText(drawn, printable(name), (x + 20, y + 11), _FONT, 0.42, _INK, 1, cv2.LINE_AA)
    return drawn
