"""Tiny trees of public data sets, in the layouts of their archives."""

import numpy as np
from PIL import Image
from scipy.io import savemat

CAR_NAMES = ['AM General Hummer', 'Acura RL Sedan', 'Ram C/V Cargo Van', 'smart fortwo']


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((8, 12, 3), np.uint8)).save(path)


def cub(root, classes=4, each=3):
    """CUB_200_2011: the last image of each class is a test image."""
    names = [f'{k + 1:03d}.Black_footed_Bird_{k}' for k in range(classes)]
    images = [f'{name}/{name}_{i:04d}.jpg' for name in names for i in range(each)]
    for name in images:
        picture(root / 'images' / name)
    every = range(1, len(images) + 1)
    tables = {
        'images.txt': zip(every, images, strict=True),
        'classes.txt': zip(range(1, classes + 1), names, strict=True),
        'image_class_labels.txt': ((i, (i - 1) // each + 1) for i in every),
        'train_test_split.txt': ((i, int(i % each != 0)) for i in every),
    }
    for name, rows in tables.items():
        (root / name).write_text(''.join(f'{a} {b}\n' for a, b in rows))
    return root


def records(fields, rows):
    return np.array([tuple(row) for row in rows], dtype=[(name, 'O') for name in fields])


def cars_in_one(root):
    """cars_annos.mat and car_ims."""
    rows = [(f'car_ims/{i:06d}.jpg', 1, 1, 5, 5, 1 + i // 2, i % 2) for i in range(8)]
    for row in rows:
        picture(root / row[0])
    boxes = ('bbox_x1', 'bbox_y1', 'bbox_x2', 'bbox_y2')
    annotations = records(('relative_im_path', *boxes, 'class', 'test'), rows)
    names = np.array(CAR_NAMES, dtype=object)
    savemat(root / 'cars_annos.mat', dict(annotations=annotations, class_names=names))
    return root


def cars_of_torchvision(root):
    """devkit, cars_train, cars_test and the labels of the test."""
    (root / 'devkit').mkdir(parents=True)
    names = np.array(CAR_NAMES, dtype=object)
    savemat(root / 'devkit/cars_meta.mat', dict(class_names=names))
    files = {'train': 'devkit/cars_train_annos.mat', 'test': 'cars_test_annos_withlabels.mat'}
    for split, file in files.items():
        rows = [(1, 1, 5, 5, i + 1, f'{i + 1:05d}.jpg') for i in range(4)]
        for row in rows:
            picture(root / f'cars_{split}' / row[-1])
        fields = ('bbox_x1', 'bbox_y1', 'bbox_x2', 'bbox_y2', 'class', 'fname')
        savemat(root / file, dict(annotations=records(fields, rows)))
    return root


def aircraft(root):
    """fgvc-aircraft-2013b/data: four variants, an image in each split."""
    data = root / 'data'
    data.mkdir(parents=True)
    variants = ['707-320', 'Boeing 717', 'Tu-154', 'Yak-42']
    (data / 'variants.txt').write_text('\n'.join(variants) + '\n')
    for s, split in enumerate(('train', 'val', 'test')):
        lines = [(f'{s}{k:06d}', variant) for k, variant in enumerate(variants)]
        for name, _ in lines:
            picture(data / 'images' / f'{name}.jpg')
        text = ''.join(f'{name} {variant}\n' for name, variant in lines)
        (data / f'images_variant_{split}.txt').write_text(text)
    return root
