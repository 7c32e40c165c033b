"""Writes a small copy of TransUNet's release of Synapse."""

import h5py
import numpy as np


def slices(seed, count=3, size=(20, 24)):
    """Returns image (count, H, W) in 0..1 and label with ids 0 to 8, float32 as released."""
    rng = np.random.default_rng(seed)
    return (
        rng.random((count, *size), dtype=np.float32),
        rng.integers(0, 9, (count, *size)).astype(np.float32),
    )


def write_synapse(root, *, cases=(5, 7), tested=(1, 2), size=(20, 24)):
    """Writes train_npz and test_vol_h5 with three slices a volume, and lists of both."""
    for name in ('train_npz', 'test_vol_h5', 'lists_Synapse'):
        (root / name).mkdir(parents=True, exist_ok=True)
    lines = []
    for case in cases:
        image, label = slices(case, size=size)
        for at in range(3):
            lines.append(f'case{case:04d}_slice{at:03d}')
            np.savez(root / 'train_npz' / f'{lines[-1]}.npz', image=image[at], label=label[at])
    (root / 'lists_Synapse/train.txt').write_text('\n'.join(lines[:4]))
    for case in tested:
        image, label = slices(100 + case, size=size)
        with h5py.File(root / 'test_vol_h5' / f'case{case:04d}.npy.h5', 'w') as file:
            file['image'], file['label'] = image, label
    (root / 'lists_Synapse/test_vol.txt').write_text(f'case{tested[0]:04d}\n')
    return root
