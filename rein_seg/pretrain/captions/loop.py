"""The pretraining with captions."""

from __future__ import annotations

from torch import Tensor

from rein_seg.pretrain.captions.model import make_towers
from rein_seg.pretrain.captions.settings import CaptionSettings
from rein_seg.pretrain.captions.stream import Batch
from rein_seg.pretrain.training import Training

START = 'package:tiny_vit.safetensors'
# of the losses
WEIGHTS = {'phrase': 2.0, 'crop': 2.0, 'content': 1.0, 'window': 0.3, 'whole': 0.3}


class CaptionTraining(Training):
    """Two towers, their optimisers and their number of steps.

    Args:
        settings: Settings of the run.
        device: Device; a GPU computes in bfloat16.
    """

    def __init__(self, settings: CaptionSettings, *, device: str = 'cpu') -> None:
        super().__init__(make_towers(settings, START), settings, device=device)

    def loss(self, batch: Batch) -> Tensor:
        """Returns the weighted sum of the losses of a batch."""
        batch = batch.to(self.device)
        with self.autocast():
            losses = self.model(batch, self.normalised(batch.images), self.normalised(batch.crops))
        return sum(WEIGHTS[name] * loss for name, loss in losses.items())
