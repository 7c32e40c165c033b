"""DDRNets: two branches of convolutions, one at stride 8, with fusions between them."""

from rein_seg.encoders.ddrnet import anatomy, weights
from rein_seg.encoders.ddrnet.model import DualResNet
from rein_seg.encoders.ddrnet.pooling import DAPPM

__all__ = ['DAPPM', 'DualResNet', 'anatomy', 'weights']
