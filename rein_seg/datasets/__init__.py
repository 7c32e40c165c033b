"""Data sets whose samples carry their domain, and whose raw label ids are mapped at load."""

from rein_seg.datasets.blobs_dataset import BlobsDataset
from rein_seg.datasets.camvid import CamVidDataset
from rein_seg.datasets.cityscapes_space import CITYSCAPES_LABEL_IDS, CityscapesSpaceDataset
from rein_seg.datasets.domain_dataset import DomainDataset, leaf_datasets
from rein_seg.datasets.drawn_dataset import DrawnDataset
from rein_seg.datasets.folder_dataset import BinaryFolderDataset, FolderDataset
from rein_seg.datasets.halve import HalveImage, HalveLabel
from rein_seg.datasets.miniscapes_dataset import MiniScapesDataset
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
    'FolderDataset',
    'HalveImage',
    'HalveLabel',
    'LoadLabels',
    'MiniScapesDataset',
    'PackDomainInputs',
    'SampleIndex',
    'ScoreAtInputSize',
    'SeededDataset',
    'StreamSampler',
    'leaf_datasets',
]
