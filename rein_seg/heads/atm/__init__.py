"""ATM: classes, as words, look for their pixels in the joint image-text space."""

from rein_seg.heads.atm.head import ATMHead
from rein_seg.heads.atm.loss import ATMLoss

__all__ = ['ATMHead', 'ATMLoss']
