"""Parameter-efficient tuning methods: one file each, written once against typed sites."""

from rein_seg.peft.base import PEFTMethod
from rein_seg.peft.composed import Composed, build_methods
from rein_seg.peft.methods.adapter import Adapter
from rein_seg.peft.methods.adaptformer import AdaptFormer
from rein_seg.peft.methods.bitfit import BitFit
from rein_seg.peft.methods.conv_adapter import ConvAdapter
from rein_seg.peft.methods.conv_lora import ConvLoRA
from rein_seg.peft.methods.dora import DoRA
from rein_seg.peft.methods.fada import FADA
from rein_seg.peft.methods.frozen import Frozen
from rein_seg.peft.methods.full import Full
from rein_seg.peft.methods.hf_peft import HFPeft
from rein_seg.peft.methods.lora import LoRA
from rein_seg.peft.methods.mona import Mona
from rein_seg.peft.methods.pego import PEGO
from rein_seg.peft.methods.pro_tuning import ProTuning
from rein_seg.peft.methods.rein import Rein
from rein_seg.peft.methods.rep_adapter import RepAdapter
from rein_seg.peft.methods.set import SET
from rein_seg.peft.methods.soma import SoMA
from rein_seg.peft.methods.spm import SPM
from rein_seg.peft.methods.ssf import SSF
from rein_seg.peft.methods.svf import SVF
from rein_seg.peft.methods.vera import VeRA
from rein_seg.peft.methods.vpt import VPT

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
