"""The factor and the name of a loss, for all losses of this package."""

from __future__ import annotations

from torch import nn

from rein_seg.errors import UserError


class NamedLoss(nn.Module):
    """A loss with a factor and a name.

    Args:
        loss_weight: Factor of the loss.
        loss_name: Key in the dict of losses, which mmseg's heads read.

    Raises:
        UserError: If ``loss_name`` has no "loss" in it.

    Example:
        >>> from rein_seg.heads.named_loss import NamedLoss
        >>> NamedLoss(loss_name='loss_dice').loss_name
        'loss_dice'
        >>> NamedLoss(loss_name='dice')
        Traceback (most recent call last):
        rein_seg.errors.UserError: loss_name='dice': only names with "loss" in them are trained on
    """

    def __init__(self, *, loss_weight: float = 1.0, loss_name: str) -> None:
        super().__init__()
        if 'loss' not in loss_name:
            raise UserError(
                f'loss_name={loss_name!r}: only names with "loss" in them are trained on'
            )
        self.loss_weight, self.loss_name = loss_weight, loss_name
