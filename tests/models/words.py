"""A text branch and a head of an open vocabulary, small enough to be computed by hand."""

import hashlib

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS

from rein_seg.heads.contract import DecodeHead
from rein_seg.text import TextBranch

BIAS = 0.1


def row(words, dims):
    """The mean of a row of each word, drawn by the word."""
    seeds = [int(hashlib.sha256(word.encode()).hexdigest()[:8], 16) for word in words]
    drawn = [torch.randn(dims, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return F.normalize(torch.stack(drawn).mean(0), dim=0)


@MODELS.register_module(force=True)
class WordTable(TextBranch):
    """Rows that depend on the words alone."""

    def __init__(self, classes, unseen=(), names=None, *, dims=8, source='sha256:words'):
        super().__init__(classes, unseen, names)
        self.dims, self.source = dims, source
        self.register_buffer('table', torch.empty(0), persistent=False)
        self.read_words()

    def read_words(self):
        self.table = torch.stack([row(words, self.dims) for words in self.words])

    def forward(self):
        return self.table


@MODELS.register_module(force=True)
class WordHead(DecodeHead, BaseModule):
    """The cosine of a projected map and each class, minus a bias on seen classes at test."""

    filled_in = ('in_channels', 'num_classes', 'text_dims', 'unseen')
    open_vocabulary = True

    def __init__(self, in_channels, num_classes, text_dims, unseen):
        super().__init__()
        self.num_classes = self.out_channels = num_classes
        self.unseen = unseen
        self.project = torch.nn.Conv2d(in_channels[-1], text_dims, 1)

    def set_classes(self, num_classes, unseen=()):
        super().set_classes(num_classes, unseen)
        self.unseen = unseen

    def forward(self, features):
        x = F.normalize(self.project(features.maps[-1]), dim=1)
        return torch.einsum('bdhw,kd->bkhw', x, features.text)

    def loss(self, features, labels):
        logits = F.interpolate(self(features), size=labels.shape[1:])
        return {'loss_ce': F.cross_entropy(logits, labels, ignore_index=255)}

    def predict(self, features, size):
        logits = self(features)
        bias = torch.full((self.num_classes, 1, 1), BIAS)
        bias[list(self.unseen)] = 0
        return F.interpolate(logits - bias.to(logits), size=size, mode='bilinear')


@MODELS.register_module(force=True)
class JointHead(WordHead):
    """Reads the joint space, too."""

    filled_in = (*WordHead.filled_in, 'joint_dims')

    def __init__(self, joint_dims, **kwargs):
        super().__init__(**kwargs)


WORDS = dict(type='WordTable', classes=['road', 'sky', 'tram', 'car'], unseen=['tram'])
