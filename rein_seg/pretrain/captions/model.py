"""Two towers and their losses.

P pictures, W windows of a picture, N patches, Q phrases, T tokens, D width of the shared space.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.encoders import build_encoder
from rein_seg.encoders.plain_vit import TinyCLIP
from rein_seg.pretrain.captions.lexicon import WORDS
from rein_seg.pretrain.captions.settings import CaptionSettings
from rein_seg.pretrain.captions.stream import UNKNOWN, Batch
from rein_seg.text.source import draw_tower
from rein_seg.text.tokens import WordTokenizer
from rein_seg.text.tower import TextTower

_LARGEST = math.log(100.0)  # of the logarithm of a scale, as in CLIP


class TwoTowers(nn.Module):
    """An image tower and a text tower whose embeddings of matching pairs are trained to be alike.

    Args:
        encoder: Image tower.
        text: Text tower.
    """

    def __init__(self, encoder: TinyCLIP, text: TextTower) -> None:
        super().__init__()
        self.encoder, self.text = encoder, text
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        # of phrases: scale and bias of the logits of a patch and of a picture, as in SigLIP
        self.patch_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.patch_bias = nn.Parameter(torch.tensor(-6.0))
        self.whole_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.whole_bias = nn.Parameter(torch.tensor(-2.0))

    def forward(self, batch: Batch, images: Tensor, crops: Tensor) -> dict[str, Tensor]:
        """Returns the losses of a batch.

        Args:
            batch: The batch.
            images: (P, 3, H, W) normalised.
            crops: (P, 3, h, w) normalised.
        """
        whole, dense = self.encoder.embed(images)
        crop, crop_dense = self.encoder.embed(crops)
        inside = window_masks(batch.windows, dense.shape[-2:])
        everything = inside.new_ones(len(crops), 1, crop_dense.shape[-2:].numel())
        patches, crop_patches = _patches(dense), _patches(crop_dense)
        pooled = F.normalize(inside @ patches, dim=2).flatten(0, 1)  # (P W, D)
        wholes = F.normalize(torch.cat((whole, crop)), dim=1)  # (2 P, D)
        phrases, captions, titles = (
            F.normalize(self.text.encode_tokens(ids), dim=1)
            for ids in (batch.phrases, batch.captions, batch.wholes)
        )
        scale = _scale(self.logit_scale)
        crop_truth = batch.whole_truth[len(images) :, None]
        return {
            'phrase': self.patch_loss(patches, inside, phrases, batch.truth),
            'crop': self.patch_loss(crop_patches, everything, phrases, crop_truth),
            'content': self.whole_loss(wholes, phrases, batch.whole_truth),
            'window': contrast(pooled @ captions.mT * scale),
            'whole': contrast(
                wholes @ titles.mT * scale,
                other_pictures(wholes @ captions.mT * scale, len(images)),
            ),
        }

    def patch_loss(self, patches: Tensor, inside: Tensor, phrases: Tensor, truth: Tensor) -> Tensor:
        """Returns the loss of phrases, each of which is true of a window or not.

        A phrase is true of a window if it is true of one of its patches: the probability of the
        opposite is the product over patches.

        Args:
            patches: (P, N, D) normalised embeddings.
            inside: (P, W, N) 1 for the patches of a window, else 0.
            phrases: (Q, D) normalised embeddings.
            truth: (P, W, Q) 1, 0 or UNKNOWN.

        Source: noisy-or of multiple-instance learning (Zhang, Platt and Viola, NIPS 2005).
        """
        scale = _scale(self.patch_scale)
        logits = patches @ phrases.mT * scale + self.patch_bias
        absent = inside @ F.softplus(logits)  # (P, W, Q): -log of the probability of absence
        present = -torch.log(-torch.expm1(-absent.clamp(min=1e-6)))
        positive, negative = truth == 1, truth == 0
        size = inside.sum(2, keepdim=True)
        # a large window has many patches, but is one example
        loss = (present * positive).sum() + (absent * negative / size.sqrt()).sum()
        return loss / (truth != UNKNOWN).sum()

    def whole_loss(self, wholes: Tensor, phrases: Tensor, truth: Tensor) -> Tensor:
        """Returns the loss of phrases, each of which is true of a picture or crop, or not.

        Args:
            wholes: (2 P, D) normalised embeddings.
            phrases: (Q, D) normalised embeddings.
            truth: (2 P, Q) 1, 0 or UNKNOWN.
        """
        logits = wholes @ phrases.mT * _scale(self.whole_scale) + self.whole_bias
        known = truth != UNKNOWN
        return F.binary_cross_entropy_with_logits(logits[known], truth[known].float())


def contrast(logits: Tensor, further: Tensor | None = None) -> Tensor:
    """Returns CLIP's loss of (K, K) logits, whose matching pairs are on the diagonal.

    Args:
        logits: Images in rows, texts in columns.
        further: (K, M) logits of further texts, none of which matches.
    """
    target = torch.arange(len(logits), device=logits.device)
    rows = logits if further is None else torch.cat((logits, further), dim=1)
    return (F.cross_entropy(rows, target) + F.cross_entropy(logits.mT, target)) / 2


def other_pictures(logits: Tensor, pictures: int) -> Tensor:
    """Removes texts about the same picture, which may be true of it.

    Args:
        logits: (2 P, P W) of pictures and crops, in rows, and captions of windows.
        pictures: P.

    Returns:
        The logits, minus infinity where row and column are of one picture.
    """
    rows = torch.arange(len(logits), device=logits.device) % pictures
    columns = torch.arange(logits.shape[1], device=logits.device)
    columns = columns // (logits.shape[1] // pictures)
    return logits.masked_fill(rows[:, None] == columns, -torch.inf)


def window_masks(windows: Tensor, grid: tuple[int, int]) -> Tensor:
    """Returns (P, W, N): 1 for the patches of a window, else 0.

    Args:
        windows: (P, W, 4) top, left, bottom, right, in patches.
        grid: (h, w).
    """
    top, left, bottom, right = windows[..., None].unbind(2)
    rows, columns = (torch.arange(side, device=windows.device) for side in grid)
    down = (rows >= top) & (rows < bottom)
    across = (columns >= left) & (columns < right)
    return (down[..., :, None] & across[..., None, :]).flatten(2).float()


def _scale(logarithm: Tensor) -> Tensor:
    return logarithm.clamp(max=_LARGEST).exp()


def _patches(dense: Tensor) -> Tensor:
    return F.normalize(dense.flatten(2).mT, dim=2)


def make_towers(settings: CaptionSettings, start: str) -> TwoTowers:
    """Returns both towers with initial weights.

    Args:
        settings: Settings of the run.
        start: Weights of the image tower's blocks, a file of a `TinyViT`.
    """
    # of TinyViT's grid of positions, whatever the pictures' size
    encoder = TinyCLIP(joint_dims=settings.joint_dims)
    source, _ = build_encoder(dict(type='TinyViT', checkpoint=start))
    text = TextTower(
        settings.text_width,
        settings.text_layers,
        settings.text_width // 64,
        settings.joint_dims,
        vocabulary=WordTokenizer(WORDS).vocabulary,
        context_length=settings.context_length,
    )
    draw_tower(text, settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    joint = encoder.joint.proj
    nn.init.normal_(joint, std=len(joint) ** -0.5, generator=generator)
    encoder.load_state_dict({**encoder.state_dict(), **source.state_dict()})
    return TwoTowers(encoder, text)
