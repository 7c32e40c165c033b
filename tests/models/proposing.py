"""A head with proposals that can be computed by hand."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS

from rein_seg.heads.contract import DecodeHead
from tests.encoders.tiny import ENCODERS

TINY_CLIP = dict(
    type='TinyCLIP',
    arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
    img_size=32,
    joint_dims=8,
    out_indices=[0, 1],
    init_seed=3,
)


@MODELS.register_module(force=True)
class ProposingHead(DecodeHead, BaseModule):
    """Three queries: masks from the last map, classes from cosines with the text."""

    filled_in = ('in_channels', 'num_classes', 'text_dims')
    output = 'scores'
    open_vocabulary = True

    def __init__(self, in_channels, num_classes, text_dims, queries=3):
        super().__init__()
        self.num_classes = self.out_channels = num_classes
        generator = torch.Generator().manual_seed(5)
        self.masks = torch.nn.Conv2d(in_channels[-1], queries, 1)
        with torch.no_grad():
            self.masks.weight.copy_(torch.randn(self.masks.weight.shape, generator=generator))
        self.words = torch.nn.Parameter(torch.randn(queries, text_dims, generator=generator))

    def forward(self, features):
        return self.propose(features, features.maps[-1].shape[-2:])

    def propose(self, features, size):
        logits = 5 * F.normalize(self.words, dim=1) @ F.normalize(features.text, dim=1).T
        logits = F.pad(logits, (0, 1))[None].expand(len(features.maps[-1]), -1, -1)
        masks = self.masks(features.maps[-1])
        return logits, F.interpolate(masks, size, mode='bilinear', align_corners=False)

    def predict(self, features, size):
        logits, masks = self.propose(features, size)
        scores = logits.softmax(-1)[..., :-1]
        return torch.einsum('bqk,bqhw->bkhw', scores, masks.sigmoid())

    def loss(self, features, labels):
        scores = self.predict(features, labels.shape[1:])
        return {'loss_ce': F.nll_loss((scores + 1e-3).log(), labels, ignore_index=255)}


WORDS = dict(type='WordTable', classes=['road', 'sky', 'tram', 'car'], unseen=['tram'])


def two_stage(*, encoder=TINY_CLIP, peft=None, text=WORDS, regions=None, head=None, **options):
    """A two-stage segmentor; ``regions`` adds to the config of the second stage."""
    torch.manual_seed(0)
    cfg = dict(
        type='TwoStageSegmentor',
        backbone=dict(type='PEFTBackbone', encoder=encoder, peft=peft or dict(type='Frozen')),
        decode_head=head or dict(type='ProposingHead'),
        num_classes=4,
        text=text,
        regions={'type': 'RegionCLIP', 'size': 32, **(regions or {})},
    )
    return MODELS.build({**cfg, **options}).eval()


PLAIN = ENCODERS['vit']
