"""Decode heads and losses of our own. Heads of mmseg work as they are."""

from rein_seg.heads.alignment_head import AlignmentHead
from rein_seg.heads.atm import ATMHead
from rein_seg.heads.batch_dice import BatchDiceLoss
from rein_seg.heads.binary_losses import BalancedBCELoss, StructureLoss
from rein_seg.heads.cascade import CascadeHead
from rein_seg.heads.contract import DecodeHead, HeadInputs
from rein_seg.heads.ddrnet_head import DDRNetHead
from rein_seg.heads.duat import DuATHead
from rein_seg.heads.eomt import EoMTHead
from rein_seg.heads.fpt import FPTHead
from rein_seg.heads.hlg import HLGHead
from rein_seg.heads.identity_head import IdentityHead
from rein_seg.heads.linear_head import LinearHead
from rein_seg.heads.mask2former import Mask2FormerHead
from rein_seg.heads.maskformer import MaskFormerHead
from rein_seg.heads.ohem_loss import OHEMLoss
from rein_seg.heads.pmt import PMTHead
from rein_seg.heads.repsep import RepSepHead
from rein_seg.heads.sam import SAMHead
from rein_seg.heads.setr import SETRHead

__all__ = [
    'ATMHead',
    'AlignmentHead',
    'BalancedBCELoss',
    'BatchDiceLoss',
    'CascadeHead',
    'DDRNetHead',
    'DecodeHead',
    'DuATHead',
    'EoMTHead',
    'FPTHead',
    'HLGHead',
    'HeadInputs',
    'IdentityHead',
    'LinearHead',
    'Mask2FormerHead',
    'MaskFormerHead',
    'OHEMLoss',
    'PMTHead',
    'RepSepHead',
    'SAMHead',
    'SETRHead',
    'StructureLoss',
]
