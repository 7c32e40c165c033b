"""Data sets whose samples carry their domain; raw label ids are mapped when a label is loaded."""

from rein_seg.datasets.ade20k import ADEChallengeDataset
from rein_seg.datasets.bdd100k_drivable import BDD100KDrivableDataset
from rein_seg.datasets.blobs_dataset import BlobsDataset
from rein_seg.datasets.camvid import CamVidDataset
from rein_seg.datasets.camvid_space import CamVidSpaceDataset, MiniCamVidDataset
from rein_seg.datasets.cityscapes_space import CITYSCAPES_LABEL_IDS, CityscapesSpaceDataset
from rein_seg.datasets.coco_stuff import COCOStuff164kDataset
from rein_seg.datasets.domain_dataset import DomainDataset, leaf_datasets
from rein_seg.datasets.drawn_dataset import DrawnDataset
from rein_seg.datasets.fields_dataset import MiniBandsDataset
from rein_seg.datasets.folder_dataset import BinaryFolderDataset, FolderDataset
from rein_seg.datasets.images import (
    AircraftDataset,
    Cars196Dataset,
    CUB200Dataset,
    ImageDataset,
    ImageFolderDataset,
    MMPretrainImages,
    PackImageInputs,
)
from rein_seg.datasets.images.regions import RegionDataset
from rein_seg.datasets.miniscapes_dataset import MiniRoadsDataset, MiniScapesDataset
from rein_seg.datasets.nuclei import NucleiDataset
from rein_seg.datasets.organs_dataset import OrgansDataset
from rein_seg.datasets.pascal import Context59Dataset, Context60Dataset, VOC20Dataset
from rein_seg.datasets.sampling.rare_class import RareClassCrop, RareClassSampler
from rein_seg.datasets.sampling.stream import SampleIndex, SeededDataset, StreamSampler
from rein_seg.datasets.sampling.task_sampler import TaskSampler
from rein_seg.datasets.synapse import SynapseVolumeDataset
from rein_seg.datasets.task_datasets import TaskDatasets
from rein_seg.datasets.transforms.band_distortion import BandDistortion
from rein_seg.datasets.transforms.fast import FastPhotoMetricDistortion, FastRandomCrop
from rein_seg.datasets.transforms.halve import HalveImage, HalveLabel
from rein_seg.datasets.transforms.lab_exchange import LABExchange
from rein_seg.datasets.transforms.labels import LoadLabels, PackDomainInputs, ScoreAtInputSize
from rein_seg.datasets.transforms.load_image import LoadDomainImage
from rein_seg.datasets.transforms.random_scale import RandomScale
from rein_seg.datasets.transforms.regions import CropRegion, FillOutside
from rein_seg.datasets.transforms.seen_labels import KeepSeenLabels
from rein_seg.datasets.transforms.turn import TurnOrRotate
from rein_seg.datasets.vehicles_dataset import VehiclesDataset
from rein_seg.datasets.volume_dataset import VolumeDataset

__all__ = [
    'CITYSCAPES_LABEL_IDS',
    'ADEChallengeDataset',
    'AircraftDataset',
    'BDD100KDrivableDataset',
    'BandDistortion',
    'BinaryFolderDataset',
    'BlobsDataset',
    'COCOStuff164kDataset',
    'CUB200Dataset',
    'CamVidDataset',
    'CamVidSpaceDataset',
    'Cars196Dataset',
    'CityscapesSpaceDataset',
    'Context59Dataset',
    'Context60Dataset',
    'CropRegion',
    'DomainDataset',
    'DrawnDataset',
    'FastPhotoMetricDistortion',
    'FastRandomCrop',
    'FillOutside',
    'FolderDataset',
    'HalveImage',
    'HalveLabel',
    'ImageDataset',
    'ImageFolderDataset',
    'KeepSeenLabels',
    'LABExchange',
    'LoadDomainImage',
    'LoadLabels',
    'MMPretrainImages',
    'MiniBandsDataset',
    'MiniCamVidDataset',
    'MiniRoadsDataset',
    'MiniScapesDataset',
    'OrgansDataset',
    'NucleiDataset',
    'PackDomainInputs',
    'PackImageInputs',
    'RandomScale',
    'RareClassCrop',
    'RareClassSampler',
    'RegionDataset',
    'SampleIndex',
    'ScoreAtInputSize',
    'SeededDataset',
    'StreamSampler',
    'SynapseVolumeDataset',
    'TaskDatasets',
    'TaskSampler',
    'TurnOrRotate',
    'VOC20Dataset',
    'VehiclesDataset',
    'VolumeDataset',
    'leaf_datasets',
]
