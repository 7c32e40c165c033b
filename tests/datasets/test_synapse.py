"""Synapse as TransUNet's release lays it out: slices, volumes, lists, protocol, check of data."""

import h5py
import numpy as np
import pytest
from mmseg.registry import DATASETS

from rein_seg.config.builtin import protocols
from rein_seg.data_check import check_data, read_parts
from rein_seg.datasets import SynapseVolumeDataset
from rein_seg.datasets.sampling.class_counts import class_counts
from rein_seg.errors import UserError
from tests.datasets.volume_files import slices, write_synapse

PIPELINE = [dict(type=name) for name in ('LoadDomainImage', 'LoadLabels', 'PackDomainInputs')]


@pytest.fixture
def root(tmp_path):
    return write_synapse(tmp_path / 'synapse')


def build(root, split, **options):
    cfg = dict(type='SynapseVolumeDataset', domain='synapse', split=split, pipeline=PIPELINE)
    return DATASETS.build({**cfg, 'data_root': str(root), **options})


def test_training_slices(root):
    dataset = build(root, 'train')
    assert len(dataset) == 6 and len(dataset.metainfo['classes']) == 9
    sample = dataset[4]
    image, label = slices(7)
    assert np.array_equal(sample['data_samples'].gt_sem_seg.data[0].numpy(), label[1])
    grey = np.rint(255 * image[1].astype(float))
    assert np.array_equal(sample['inputs'].numpy(), np.stack([grey] * 3))
    meta = sample['data_samples']
    assert (meta.case, meta.slice, meta.slices) == ('case0007', 1, 3)


def test_test_volumes_slice_by_slice(root):
    dataset = build(root, 'test')
    places = [dataset.get_data_info(i) for i in range(6)]
    assert [(one['case'], one['slice'], one['slices']) for one in places] == [
        (case, at, 3) for case in ('case0001', 'case0002') for at in range(3)
    ]
    _, label = slices(102)
    assert np.array_equal(dataset[5]['data_samples'].gt_sem_seg.data[0].numpy(), label[2])


def test_lists_choose_slices_and_volumes(root):
    train = build(root, 'train', ann_file='lists_Synapse/train.txt')
    assert [train.get_data_info(i)['slice'] for i in range(len(train))] == [0, 1, 2, 0]
    assert len(build(root, 'test', ann_file='lists_Synapse/test_vol.txt')) == 3
    (root / 'lists_Synapse/wrong.txt').write_text('case0009')
    with pytest.raises(
        UserError, match="lists 1 images that are not there; first: 'case0009.npy.h5"
    ):
        build(root, 'test', ann_file='lists_Synapse/wrong.txt')


def test_copies_and_counts(root, tmp_path):
    dataset = build(root, 'train', cache_dir=str(tmp_path / 'copies'))
    first, again = dataset[0]['inputs'], dataset[0]['inputs']
    assert (first == again).all() and len(list((tmp_path / 'copies').rglob('*.tif'))) == 2
    counts = class_counts(dataset, cache_dir=str(tmp_path / 'counts'))
    assert counts.shape == (6, 9) and counts.sum() == 6 * 20 * 24
    np.savez(
        root / 'train_npz/case0005_slice000.npz', image=np.zeros((20, 24)), label=np.ones((20, 24))
    )
    changed = class_counts(build(root, 'train'), cache_dir=str(tmp_path / 'counts'))
    assert changed[0].tolist() == [0, 480, 0, 0, 0, 0, 0, 0, 0]


def test_missing_data_say_what_is_expected(tmp_path):
    with pytest.raises(UserError, match="train_npz' does not exist.*TransUNet"):
        build(tmp_path, 'train')
    with pytest.raises(UserError, match="split='val': expected one of"):
        SynapseVolumeDataset('synapse', split='val')


def test_the_protocol_resizes_slices_and_scores_the_files_size(root):
    dataset = build(root, 'test', pipeline=_pipeline('test'))
    sample = dataset[0]
    assert sample['inputs'].shape == (3, 224, 224)
    assert sample['data_samples'].gt_sem_seg.shape == (20, 24)
    assert sample['data_samples'].ori_shape == (20, 24)
    trained = build(root, 'train', pipeline=_pipeline('train'))[0]
    assert trained['inputs'].shape == (3, 224, 224)
    assert trained['data_samples'].gt_sem_seg.shape == (224, 224)


def _pipeline(use):
    protocol = protocols()['transunet224']
    return list(protocol.train_pipeline if use == 'train' else protocol.pipeline_of('synapse'))


def faults(root):
    checks = check_data(read_parts('synapse', data_root=str(root)))
    return {fault.kind: fault.message for check in checks for fault in check.wrong}, checks


def test_check_data_counts_slices_and_names_faults(root):
    found, checks = faults(root)
    assert list(found) == ['number of images']
    assert found['number of images'] == 'train/synapse_train has 6 images, expected are 2211'
    assert [check.found for check in checks] == [6, 6]
    assert sum(checks[1].total('classes').values()) == 6 * 20 * 24
    image, label = slices(0)
    np.savez(root / 'train_npz/case0005_slice000.npz', image=image[0], label=label[0] + 5)
    np.savez(root / 'train_npz/case0005_slice001.npz', image=image[0], label=label[0][:, :20])
    np.savez(root / 'train_npz/case0005_slice002.npz', image=image, label=label[0])
    (root / 'test_vol_h5/case0002.npy.h5').write_bytes(b'\x89HDF')
    found, checks = faults(root)
    assert (
        'holds the ids [9, 10, 11, 12, 13], outside its label space (0 to 8'
        in (found['ids that map nowhere'])
    )
    assert 'is (20, 20), its image' in found['label and image of two sizes']
    assert 'is (3, 20, 24): expected (height, width)' in (
        checks[0].wrong[-1].message + ''.join(f.message for f in checks[0].wrong)
    )
    assert [f.message for f in checks[1].wrong if 'case0002.npy.h5' in f.message]
    assert [check.found for check in checks] == [6, 3]


def test_a_run_stops_at_a_damaged_volume(root):
    with h5py.File(root / 'test_vol_h5/case0003.npy.h5', 'w') as file:
        file['image'], file['label'] = np.zeros((2, 4, 4)), np.zeros((3, 4, 4))
    with pytest.raises(
        UserError, match=r"domain 'synapse': volume .*case0003.*its label is \(3, 4, 4\)"
    ):
        build(root, 'test')


def test_images_without_labels(root):
    for case in (1, 2):
        with h5py.File(root / f'test_vol_h5/case{case:04d}.npy.h5', 'a') as file:
            del file['label']
    steps = [dict(type='LoadDomainImage'), dict(type='PackDomainInputs')]
    dataset = build(root, 'test', labelled=False, pipeline=steps)
    assert len(dataset) == 6 and dataset[5]['inputs'].shape == (3, 20, 24)
    assert dataset[5]['data_samples'].case == 'case0002'
    with pytest.raises(UserError, match="has no 'label'"):
        build(root, 'test')


def test_volumes_of_other_classes_and_names(root):
    (root / 'test_vol_h5').rename(root / 'mine')
    for path in sorted((root / 'mine').iterdir()):
        path.rename(path.with_name(path.name.replace('.npy.h5', '.hdf5')))
    cfg = dict(
        type='VolumeDataset', domain='mine', data_root=str(root), pipeline=PIPELINE,
        data_prefix=dict(img_path='mine'), skip=['case0001_slice001'],
        label_map={**dict.fromkeys(range(9), 0), 5: 1}, metainfo=dict(classes=('rest', 'liver')),
    )  # fmt: skip
    dataset = DATASETS.build(cfg)
    places = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [(one['slice'], one['slices']) for one in places[:2]] == [(0, 3), (2, 3)]
    label = dataset[0]['data_samples'].gt_sem_seg.data[0].numpy()
    assert np.array_equal(label, slices(101)[1][0] == 5)


def build_own(root, **prefix):
    cfg = dict(type='VolumeDataset', domain='mine', data_root=str(root), pipeline=PIPELINE)
    metainfo = dict(classes=[str(i) for i in range(9)])
    prefix = dict(img_path='own', **prefix)
    return DATASETS.build({**cfg, 'data_prefix': prefix, 'metainfo': metainfo})


def places(dataset):
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [(one['case'], one['slice'], one['slices']) for one in infos]


def test_volumes_of_one_name_in_several_folders(tmp_path):
    image, label = slices(0)
    for patient in ('p1', 'p2'):
        (tmp_path / 'own' / patient).mkdir(parents=True)
        with h5py.File(tmp_path / f'own/{patient}/ct.h5', 'w') as file:
            file['image'], file['label'] = image, label
    expected = [(f'{patient}/ct', at, 3) for patient in ('p1', 'p2') for at in range(3)]
    assert places(build_own(tmp_path)) == expected


def test_slices_are_counted_from_the_first(tmp_path):
    image, label = slices(0)
    (tmp_path / 'own').mkdir()
    for at in range(3):
        np.savez(tmp_path / f'own/a_slice{at + 1:03d}.npz', image=image[at], label=label[at])
    assert places(build_own(tmp_path)) == [('a', at, 3) for at in range(3)]
    with h5py.File(tmp_path / 'own/a.h5', 'w') as file:
        file['image'], file['label'] = image, label
    with pytest.raises(UserError, match="slice 1 of volume 'a' is in .*a.* and in .*a.*: expected"):
        build_own(tmp_path)


@pytest.mark.parametrize(
    ('prefix', 'told'),
    [
        (dict(seg_map_path='labels'), "seg_map_path='labels' would have no effect"),
        (dict(images='own'), r"data_prefix has \['images'\]: expected img_path"),
    ],
)
def test_folders_without_effect_are_refused(tmp_path, prefix, told):
    with pytest.raises(UserError, match=told):
        build_own(tmp_path, **prefix)
