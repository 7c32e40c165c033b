"""Tiny copies of data sets of whole images, in the layouts of their downloads."""

import json
from pathlib import Path

import cv2
import mat4py
import numpy as np


def picture(path, value=90, size=(24, 32)):
    """Writes a grey picture; its folders are made."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((*size, 3), value, np.uint8))


def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def mat(path, content):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    mat4py.savemat(str(path), content)


def caltech101(root):
    for name in ('accordion/image_0001.jpg', 'yin_yang/image_0002.jpg'):
        picture(root / '101_ObjectCategories' / name)
    write(root / 'meta/train.txt', 'accordion/image_0001.jpg 5\nyin_yang/image_0002.jpg 101\n')


def dtd(root):
    names = ['banded/banded_0002.jpg', 'zigzagged/zigzagged_0001.jpg', 'dotted/dotted_1.jpg']
    for name in names:
        picture(root / 'images' / name)
    images = {'name': names, 'class': [1, 47, 9], 'set': [1, 2, 3]}
    mat(root / 'imdb/imdb.mat', {'images': images})


def flowers102(root):
    for i in (1, 2, 3, 4):
        picture(root / f'jpg/image_{i:05d}.jpg')
    mat(root / 'imagelabels.mat', {'labels': [1, 102, 5, 1]})
    mat(root / 'setid.mat', {'trnid': [1, 4], 'valid': [2, 2], 'tstid': [3, 3]})


def oxford_pets(root):
    for name in ('Abyssinian_1', 'pug_3'):
        picture(root / f'images/{name}.jpg')
    write(root / 'annotations/trainval.txt', 'Abyssinian_1 1 1 1\npug_3 26 2 18\n')


def stanford_cars(root):
    for name in ('00001.jpg', '00002.jpg'):
        picture(root / 'cars_train' / name)
    rows = {'fname': ['00001.jpg', '00002.jpg'], 'class': [1, 196]}
    mat(root / 'devkit/cars_train_annos.mat', {'annotations': rows})


def fgvc_aircraft(root):
    for name in ('1025794', '0034309'):
        picture(root / f'data/images/{name}.jpg')
    text = '1025794 707-320\n0034309 Yak-42\n'
    write(root / 'data/images_variant_trainval.txt', text)


def food101(root):
    for name in ('apple_pie/1005649', 'waffles/9'):
        picture(root / f'images/{name}.jpg')
    write(root / 'meta/train.txt', 'apple_pie/1005649\nwaffles/9\n')


def sun397(root):
    for name in ('a/abbey/sun_a.jpg', 'y/youth_hostel/sun_b.jpg', 'a/apse/indoor/sun_c.jpg'):
        picture(root / 'SUN397' / name)
    text = '/a/abbey/sun_a.jpg\n/y/youth_hostel/sun_b.jpg\n/a/apse/indoor/sun_c.jpg\n'
    write(root / 'Partitions/Training_01.txt', text)


# benchmark -> (maker of its training split, classes of the images in their order)
TREES = {
    'caltech101': (caltech101, ['accordion', 'yin_yang']),
    'dtd': (dtd, ['banded', 'zigzagged']),
    'flowers102': (flowers102, ['pink primrose'] * 2 + ['blackberry lily'] * 2),
    'oxford_pets': (oxford_pets, ['Abyssinian', 'pug']),
    'stanford_cars': (
        stanford_cars,
        ['AM General Hummer SUV 2000', 'smart fortwo Convertible 2012'],
    ),
    'fgvc_aircraft': (fgvc_aircraft, ['707-320', 'Yak-42']),
    'food101': (food101, ['apple_pie', 'waffles']),
    'sun397': (sun397, ['abbey', 'youth_hostel', 'apse_indoor']),
}

EUROSAT = {
    'train': [['Forest/Forest_1.jpg', 1, 'Forest'], ['SeaLake/SeaLake_1.jpg', 0, 'Sea or Lake']],
    'val': [['Forest/Forest_3.jpg', 1, 'Forest']],
    'test': [['SeaLake/SeaLake_2.jpg', 0, 'Sea or Lake']],
}


def eurosat(root):
    for rows in EUROSAT.values():
        for name, *_ in rows:
            picture(root / '2750' / name)
    write(root / 'split_zhou_EuroSAT.json', json.dumps(EUROSAT))
