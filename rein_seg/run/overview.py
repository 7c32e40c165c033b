"""One picture of a run: a row for each domain, image beside truth beside prediction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rein_seg.checkpoint import write_png
from rein_seg.datasets import leaf_datasets
from rein_seg.datasets.files.band_pictures import picture_of
from rein_seg.evaluation import score_text, unit_of
from rein_seg.pages.legend import legend
from rein_seg.pages.maps import colour
from rein_seg.pages.strips import STRIP_WIDTH, row, text_line


@torch.no_grad()
def draw_overview(
    path: Path,
    model: nn.Module,
    dataset: Any,
    results: dict[str, Any],
    channels: Sequence[int],
) -> None:
    """Writes the picture of a run.

    Args:
        path: PNG file; it is complete or absent.
        model: The segmentor.
        dataset: Test data set, of one domain or a concatenation of several.
        results: As in results.json; each row has the main score of its domain.
        channels: Index of the class of each channel of the model; see `channel_classes`.
    """
    palette = dataset.metainfo['palette']
    model.eval()
    rows = [text_line(['image', 'truth', 'prediction'])]
    for info, sample in _first_of_each_domain(dataset):
        batch = dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']])
        output = model.test_step(batch)[0]
        label = output.gt_sem_seg.data.squeeze(0).cpu().numpy()
        pred = output.pred_sem_seg.data.squeeze(0).cpu().numpy()
        pictures = [sample_image(info), colour(label, palette)]
        pictures.append(colour(np.array(channels)[pred], palette))
        rows.append(row(domain_title(output.domain, results), pictures))
    rows.append(legend(dataset.metainfo['classes'], palette, STRIP_WIDTH))
    write_png(path, np.vstack(rows)[..., ::-1])


def domain_title(domain: str, results: Mapping[str, Any]) -> str:
    """Returns the name of a domain with its main score.

    Args:
        domain: Name.
        results: As in results.json.

    Example:
        >>> from rein_seg.run.overview import domain_title
        >>> scores = dict(domains=dict(fog=dict(mIoU=41.2)), mean_over_targets=dict(mIoU=41.2))
        >>> domain_title('fog', scores)
        'fog   mIoU 41.20 %'
    """
    scores = results.get('domains', {}).get(domain, {})
    column = next(iter(results.get('mean_over_targets', {})), None)
    if scores.get(column) is None:
        return domain
    unit = unit_of(results, column).replace('0..1', '')
    return f'{domain}   {column} {score_text(results, column, scores[column])} {unit}'.rstrip()


def _first_of_each_domain(dataset: Any) -> Iterator[tuple[dict, dict]]:
    for part in leaf_datasets(dataset):
        yield part.get_data_info(0), part[0]


def sample_image(info: Mapping[str, Any]) -> np.ndarray:
    """Returns the image of a sample, (H, W, 3) uint8 RGB, as the sample loads it.

    Args:
        info: Fields of a sample.
    """
    return picture_of(info['img_path'], info)
