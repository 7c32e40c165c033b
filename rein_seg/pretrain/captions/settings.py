"""Settings of the pretraining with captions, and budgets by name."""

from __future__ import annotations

from dataclasses import dataclass

from rein_seg.pretrain.settings import check_settings, of_budget


@dataclass(frozen=True)
class CaptionSettings:
    """Settings of a run; equal settings give equal weights on the same kind of machine.

    Args:
        steps: Number of optimiser steps.
        pictures: Number of new streets a step.
        windows: Number of windows of each picture that have a caption.
        phrases: Number of phrases a step beside two for each class.
        size: (width, height) of the pictures in pixels.
        joint_dims: Width of the space that image and text share.
        text_width: Width of the text tower, a multiple of 64.
        text_layers: Blocks of the text tower.
        context_length: Largest number of tokens of a text, start and end included.
        lr: Peak learning rate.
        warmup: Share of the steps in which the learning rate rises.
        weight_decay: Weight decay of matrices.
        momentum: Momentum of Muon.
        seed: Seed of streets, looks, captions and initial weights.
        save_every: Number of steps between checkpoints.
    """

    steps: int
    pictures: int = 4
    windows: int = 24
    phrases: int = 40
    size: tuple[int, int] = (256, 128)
    joint_dims: int = 128
    text_width: int = 128
    text_layers: int = 4
    context_length: int = 48
    lr: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 0.05
    momentum: float = 0.95
    seed: int = 0
    save_every: int = 25

    def __post_init__(self) -> None:
        check_settings(self, ('steps', 'pictures', 'windows', 'phrases', 'save_every'))


BUDGETS = {
    'full': CaptionSettings(steps=2000),
    'small': CaptionSettings(steps=400),
    'smoke': CaptionSettings(steps=4, pictures=2, windows=4, save_every=2),
}


def chosen(budget: str, **changes: object) -> CaptionSettings:
    """Returns a budget's settings with changes; None keeps a setting.

    Raises:
        UserError: If the budget is not known, or as `CaptionSettings`.

    Example:
        >>> from rein_seg.pretrain.captions.settings import chosen
        >>> run = chosen('small', seed=3, lr=None)
        >>> run.steps, run.seed, run.lr
        (400, 3, 0.001)
    """
    return of_budget(BUDGETS, budget, changes)
