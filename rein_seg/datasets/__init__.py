"""Data sets whose samples carry their domain, and whose raw label ids are mapped at load."""

from rein_seg.datasets.blobs_dataset import BlobsDataset
from rein_seg.datasets.camvid import CamVidDataset
from rein_seg.datasets.cityscapes_space import CITYSCAPES_LABEL_IDS, CityscapesSpaceDataset
from rein_seg.datasets.domain_dataset import DomainDataset, leaf_datasets
from rein_seg.datasets.drawn_dataset import DrawnDataset
from rein_seg.datasets.fast_transforms import FastPhotoMetricDistortion, FastRandomCrop
from rein_seg.datasets.folder_dataset import BinaryFolderDataset, FolderDataset
from rein_seg.datasets.halve import HalveImage, HalveLabel
from rein_seg.datasets.load_image import LoadDomainImage
from rein_seg.datasets.miniscapes_dataset import MiniScapesDataset
from rein_seg.datasets.random_scale import RandomScale
from rein_seg.datasets.rare_class import RareClassCrop, RareClassSampler
from rein_seg.datasets.stream import SampleIndex, SeededDataset, StreamSampler
from rein_seg.datasets.transforms import LoadLabels, PackDomainInputs, ScoreAtInputSize

__all__ = [
    'CITYSCAPES_LABEL_IDS',
    'BinaryFolderDataset',
    'BlobsDataset',
    'CamVidDataset',
    'CityscapesSpaceDataset',
    'DomainDataset',
    'DrawnDataset',
    'FastPhotoMetricDistortion',
    'FastRandomCrop',
    'FolderDataset',
    'HalveImage',
    'HalveLabel',
    'LoadDomainImage',
    'LoadLabels',
    'MiniScapesDataset',
    'PackDomainInputs',
    'RandomScale',
    'RareClassCrop',
    'RareClassSampler',
    'SampleIndex',
    'ScoreAtInputSize',
    'SeededDataset',
    'StreamSampler',
    'leaf_datasets',
]
