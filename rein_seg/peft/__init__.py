"""Parameter-efficient tuning methods: one file each, written once against typed sites."""

from rein_seg.peft.base import PEFTMethod
from rein_seg.peft.bitfit import BitFit
from rein_seg.peft.conv_lora import ConvLoRA
from rein_seg.peft.dora import DoRA
from rein_seg.peft.frozen import Frozen
from rein_seg.peft.full import Full
from rein_seg.peft.hf_peft import HFPeft
from rein_seg.peft.lora import LoRA
from rein_seg.peft.pego import PEGO
from rein_seg.peft.rein import Rein
from rein_seg.peft.soma import SoMA
from rein_seg.peft.ssf import SSF
from rein_seg.peft.svf import SVF
from rein_seg.peft.vera import VeRA

__all__ = [
    'PEFTMethod',
    'BitFit',
    'ConvLoRA',
    'DoRA',
    'Frozen',
    'Full',
    'HFPeft',
    'LoRA',
    'PEGO',
    'Rein',
    'SoMA',
    'SSF',
    'SVF',
    'VeRA',
]
