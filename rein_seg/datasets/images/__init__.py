"""Data sets of whole images with a class each."""

from rein_seg.datasets.images.aircraft import AircraftDataset
from rein_seg.datasets.images.cars import Cars196Dataset
from rein_seg.datasets.images.cub import CUB200Dataset
from rein_seg.datasets.images.dataset import ImageDataset
from rein_seg.datasets.images.folder import ImageFolderDataset
from rein_seg.datasets.images.mmpretrain_images import MMPretrainImages
from rein_seg.datasets.images.pack import PackImageInputs

__all__ = [
    'AircraftDataset',
    'CUB200Dataset',
    'Cars196Dataset',
    'ImageDataset',
    'ImageFolderDataset',
    'MMPretrainImages',
    'PackImageInputs',
]
