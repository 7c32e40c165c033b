"""Parts of a config that scores of a frozen encoder need."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from rein_seg.config.config_paths import datasets_of
from rein_seg.encoders import SOURCE_KEYS
from rein_seg.errors import UserError
from rein_seg.evaluation import find_domain_metric
from rein_seg.models.base import task_of


def encoder_config(cfg: Config, *, random: bool, checkpoint: str | None) -> dict[str, Any]:
    """Returns the config of the encoder, with another source of weights where one is asked for.

    Args:
        cfg: The config.
        random: Whether to draw random weights.
        checkpoint: A file of weights; None keeps the config's source.

    Raises:
        UserError: If the config has no encoder.

    Example:
        >>> from mmengine.config import Config
        >>> from rein_seg.pretrain.config_parts import encoder_config
        >>> encoder = dict(type='CLIPViT', checkpoint='a.pt', checkpoint_url='https://b.org/a.pt')
        >>> cfg = Config(dict(model=dict(backbone=dict(encoder=encoder))))
        >>> encoder_config(cfg, random=False, checkpoint='own.pt')
        {'type': 'CLIPViT', 'checkpoint': 'own.pt'}
    """
    encoder = cfg.get('model', {}).get('backbone', {}).get('encoder')
    if encoder is None:
        raise UserError('the config has no model.backbone.encoder: give one of configs/*.py')
    changed = dict(encoder)
    if random or checkpoint:
        for key in SOURCE_KEYS:
            changed.pop(key, None)
        changed.update(dict(init_seed=0) if random else dict(checkpoint=checkpoint))
    return changed


def validation_sets(cfg: Config, *, source_only: bool) -> list[Any]:
    """Returns the configs of the validation data sets to score on.

    Args:
        cfg: The config.
        source_only: Whether to leave out all domains but the source.

    Raises:
        UserError: If there is none, or the config is of a model of whole images.
    """
    if task_of((cfg.get('model') or {}).get('type')) != 'pixels':
        raise UserError(
            f'model.type={cfg.model.type!r} gives one result for a whole image, and this command '
            'scores the class of each pixel: give the config of a segmentor, with the same encoder'
        )
    parts = datasets_of(cfg, ('val_dataloader',))
    wanted = [p for p in parts if not source_only or p['domain'] == source_domain(cfg)]
    if not wanted:
        raise UserError('val_dataloader has no data set to score on: give a config of a benchmark')
    return wanted


def source_domain(cfg: Config) -> str | None:
    """Returns the source domain that the validation metric names."""
    return (find_domain_metric(cfg.get('val_evaluator') or []) or {}).get('source')
