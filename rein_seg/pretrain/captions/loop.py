"""Runs the pretraining with captions."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from rein_seg.pretrain.captions.model import make_towers
from rein_seg.pretrain.captions.settings import CaptionSettings
from rein_seg.pretrain.captions.stream import Batch, batches
from rein_seg.pretrain.training import Training, run_training

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


def run_caption_training(
    settings: CaptionSettings,
    work_dir: Path,
    *,
    resume: bool = False,
    device: str = 'cpu',
    workers: int = 1,
) -> CaptionTraining:
    """Pretrains to the end, with regular checkpoints in ``work_dir``.

    Args:
        settings: Settings of the run.
        work_dir: Folder of the checkpoints and the loss curve, losses.json.
        resume: Whether to resume from the last checkpoint, if there is one.
        device: Device to compute on.
        workers: Number of processes that draw and describe streets; 0 does so in this process.
            The result does not depend on it.

    Raises:
        UserError: If there is a checkpoint and ``resume`` is not set, or it belongs to another run.
    """
    training = CaptionTraining(settings, device=device)
    run_training(
        training,
        lambda done: batches(settings, start=done, workers=workers),
        work_dir,
        resume=resume,
    )
    return training
