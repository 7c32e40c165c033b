"""Skin lesions of ISIC 2018 in the folders of DuAT's authors; every tenth training image validates.

Their division is not published as a list: the images are those in the folders.
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks.binary_1024 import pictures, prefix
from rein_seg.config.benchmarks.polyp_five import FRAME
from rein_seg.config.definitions import Benchmark, Node


def prepared(name: str, thing: str, folder: str, test_folder: str) -> Benchmark:
    """A benchmark of ``TrainDataset`` and ``TestDataset``, each with images and masks.

    Args:
        name: Of the benchmark.
        thing: Name of the class beside ``background``.
        folder: Of both, below the data root.
        test_folder: Below ``TestDataset``; without it, the test lies in ``TestDataset`` itself.
    """
    domain = name.removesuffix('_prepared')

    def masks(*places: str) -> Node:
        first, *others = [prefix(f'{p}/images', f'{p}/masks')['data_prefix'] for p in places]
        keys = ('img_path', 'seg_map_path') if others else ()
        elsewhere = {key: [other[key] for other in others] for key in keys}
        suffixes = ['_segmentation.png', '.png', '.tif', '.tiff', '.bmp', '.jpg', '.jpeg']
        more = dict(elsewhere=elsewhere) if others else {}
        return dict(data_prefix=first, seg_map_suffix=suffixes, threshold=128, **more)

    train, test = f'{folder}/TrainDataset', f'{folder}/TestDataset'
    args = masks(train)
    return replace(
        FRAME,
        name=name,
        train=(pictures(f'{domain}_train', thing, dict(**args, part='train')),),
        val=(pictures(f'{domain}_val', thing, dict(**args, part='val')),),
        test=(pictures(domain, thing, masks(f'{test}/{test_folder}', test)),),
        source=f'{domain}_val',
        targets=(domain,),
        selection=dict(metric=f'{domain}_val/Dice_curve', rule='greater'),
    )


BENCHMARK = prepared('isic2018_prepared', 'lesion', 'isic2018', 'ISIC-2018')
