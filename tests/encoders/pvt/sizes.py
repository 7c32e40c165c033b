"""Narrow PVTs."""

from rein_seg.encoders.pvt.archs import ARCHS

V1 = dict(
    version='v1',
    embed_dims=[8, 8, 16, 16],
    num_heads=[1, 1, 2, 2],
    mlp_ratios=[2, 2, 2, 2],
    depths=[1, 1, 1, 1],
)
V2 = {**V1, 'version': 'v2'}


def narrow(name):
    """Returns the sizes of a published PVT at an eighth of its width and less deep."""
    arch = ARCHS[name]
    return {
        **arch,
        'embed_dims': [width // 8 for width in arch['embed_dims']],
        'num_heads': [1, 1, 2, 4],
        'depths': [min(depth, 2 + stage % 2) for stage, depth in enumerate(arch['depths'])],
    }
