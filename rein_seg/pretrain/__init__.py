"""Self-supervised pretraining of the small encoder that comes with the package."""

from rein_seg.pretrain.settings import BUDGETS, PretrainSettings

__all__ = ['BUDGETS', 'PretrainSettings']
