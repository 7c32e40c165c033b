"""The pretraining of TinyViT."""

from __future__ import annotations

import torch
from torch import Tensor

from rein_seg.encoders.plain_vit.tiny_vit import TinyViT
from rein_seg.pretrain.model import NeutralView, prediction_loss
from rein_seg.pretrain.settings import PretrainSettings
from rein_seg.pretrain.stream import draw_masks
from rein_seg.pretrain.targets import patch_targets
from rein_seg.pretrain.training import Training


class Pretraining(Training):
    """A model, its optimisers and their number of steps.

    Args:
        settings: Settings of the run.
        device: Device; a GPU computes in bfloat16.
    """

    def __init__(self, settings: PretrainSettings, *, device: str = 'cpu') -> None:
        encoder = TinyViT(img_size=settings.size[::-1])
        super().__init__(NeutralView(encoder, seed=settings.seed), settings, device=device)

    def loss(self, batch: Tensor) -> Tensor:
        """Returns the loss of a batch.

        Args:
            batch: (S, 1 + L, 3, H, W) uint8, RGB, neutral views first.
        """
        run, batch = self.settings, batch.to(self.device)
        # all looks of a street share the targets of its neutral view
        targets = patch_targets(batch[:, 0].float() / 255).repeat_interleave(run.looks, 0)
        images = self.normalised(batch[:, 1:].flatten(0, 1))
        visible, guessed = draw_masks(run, self.done, patches=targets.shape[1])
        visible, guessed = visible.to(self.device), guessed.to(self.device)
        with self.autocast():
            predicted = self.model(images, visible, guessed)
        return prediction_loss(predicted, targets, torch.cat((visible, guessed), dim=1))
