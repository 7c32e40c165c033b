"""Parameter-efficient tuning methods: one file each, written once against typed sites."""

from rein_seg.peft.adapter import Adapter
from rein_seg.peft.adaptformer import AdaptFormer
from rein_seg.peft.base import PEFTMethod
from rein_seg.peft.bitfit import BitFit
from rein_seg.peft.composed import Composed, build_methods
from rein_seg.peft.conv_adapter import ConvAdapter
from rein_seg.peft.conv_lora import ConvLoRA
from rein_seg.peft.dora import DoRA
from rein_seg.peft.fada import FADA
from rein_seg.peft.frozen import Frozen
from rein_seg.peft.full import Full
from rein_seg.peft.hf_peft import HFPeft
from rein_seg.peft.lora import LoRA
from rein_seg.peft.mona import Mona
from rein_seg.peft.pego import PEGO
from rein_seg.peft.pro_tuning import ProTuning
from rein_seg.peft.rein import Rein
from rein_seg.peft.rep_adapter import RepAdapter
from rein_seg.peft.set import SET
from rein_seg.peft.soma import SoMA
from rein_seg.peft.spm import SPM
from rein_seg.peft.ssf import SSF
from rein_seg.peft.svf import SVF
from rein_seg.peft.vera import VeRA
from rein_seg.peft.vpt import VPT

__all__ = [
    'AdaptFormer',
    'Adapter',
    'BitFit',
    'Composed',
    'ConvAdapter',
    'ConvLoRA',
    'DoRA',
    'FADA',
    'Frozen',
    'Full',
    'HFPeft',
    'LoRA',
    'Mona',
    'PEFTMethod',
    'PEGO',
    'ProTuning',
    'Rein',
    'RepAdapter',
    'SET',
    'SPM',
    'SSF',
    'SVF',
    'SoMA',
    'VPT',
    'VeRA',
    'build_methods',
]
