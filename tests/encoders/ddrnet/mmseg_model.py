"""mmseg's DDRNet with random weights and statistics, and its state dict with folded biases."""

import torch
from mmseg.models.backbones import DDRNet


def mmseg_ddrnet(planes=8, spp_planes=16):
    """mmseg's encoder in training mode, whose statistics and norms are not the identity."""
    torch.manual_seed(0)
    model = DDRNet(channels=planes, ppm_channels=spp_planes)
    for name, value in model.state_dict().items():
        if name.endswith(('running_mean', 'bn.bias', '1.bias')):
            value.normal_(std=0.3)
        elif name.endswith(('running_var', 'bn.weight', '1.weight')):
            value.uniform_(0.5, 1.5)
    return model
