"""Data sets of whole images with a class each."""

from rein_seg.datasets.images.dataset import ImageDataset
from rein_seg.datasets.images.folder import ImageFolderDataset
from rein_seg.datasets.images.mmpretrain_images import MMPretrainImages
from rein_seg.datasets.images.pack import PackImageInputs

__all__ = ['ImageDataset', 'ImageFolderDataset', 'MMPretrainImages', 'PackImageInputs']
