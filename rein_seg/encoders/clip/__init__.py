"""The image towers of CLIP."""

from rein_seg.encoders.clip import resnet_anatomy, resnet_weights
from rein_seg.encoders.clip.files import encoder_of_file
from rein_seg.encoders.clip.model import CLIPViT
from rein_seg.encoders.clip.resnet import CLIPResNet

__all__ = ['CLIPResNet', 'CLIPViT', 'encoder_of_file', 'resnet_anatomy', 'resnet_weights']
