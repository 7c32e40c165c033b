"""The published system at full size, files in the published layouts, on a CPU.

Needs 6 GB of memory and minutes, so `make test` leaves it out: ``make test-full``.
"""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from tests.paths import REPO
from tests.run.official_files import dinov2, rein_and_head

RAW_IDS = np.array([7, 8, 11, 21, 23, 26, 0], np.uint8)  # road, sidewalk, building, ... unlabelled


def test_the_layouts_have_the_published_numbers():
    adapter = rein_and_head()
    assert len(adapter) == 303
    assert sum(t.numel() for t in adapter.values()) == 23_569_877


def write_image(path, size, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size[1] // 16, size[0] // 16, 3))
    cv2.imwrite(str(path), cv2.resize(noise.astype(np.uint8), size))


def write_label(path, size, ids, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(0, len(ids), (size[1] // 64, size[0] // 64))
    cv2.imwrite(str(path), cv2.resize(ids[small], size, interpolation=cv2.INTER_NEAREST))


@pytest.mark.full_size
def test_official_files_through_the_test_tool(tmp_path):
    """DINOv2-L and Rein as downloaded, two Cityscapes-style images, the leaf config as it is."""
    (tmp_path / 'checkpoints').mkdir()
    torch.save(dinov2(), tmp_path / 'checkpoints/dinov2_vitl14_pretrain.pth')
    torch.save(dict(meta={}, state_dict=rein_and_head()), tmp_path / 'dinov2_rein_and_head.pth')
    for i in range(2):
        name = f'frankfurt/frankfurt_{i:06}_000019'
        image = tmp_path / f'data/cityscapes/leftImg8bit/val/{name}_leftImg8bit.png'
        label = tmp_path / f'data/cityscapes/gtFine/val/{name}_gtFine_labelIds.png'
        write_image(image, (2048, 1024), i)
        write_label(label, (2048, 1024), RAW_IDS, i)
    config = tmp_path / 'cityscapes_only.py'
    config.write_text(
        f'_base_ = [{str(REPO / "configs/rein_dinov2_gtav.py")!r}]\n'
        'test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(\n'
        '    datasets=[_base_.test_dataloader.dataset.datasets[0]]))\n'
        "test_evaluator = dict(targets=['cityscapes'])\n"
    )
    command = [
        sys.executable,
        str(REPO / 'tools/test.py'),
        str(config),
        'dinov2_rein_and_head.pth',
        '--work-dir',
        'out',
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    log = done.stdout + done.stderr
    assert '303/303 tensors, 0 unexpected' in log
    assert 'resampled' in log
    results = json.loads((tmp_path / 'out/results.json').read_text())
    assert results['parameters']['method'] == 2_990_081
    assert results['parameters']['trainable'] == 23_569_877
    assert (tmp_path / 'out/overview.png').is_file()
    score = results['domains']['cityscapes']
    assert score['images'] == 2
    assert 0 <= score['mIoU'] <= 100
