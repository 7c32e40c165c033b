"""Heads that say one thing about a whole image: its class, or an embedding of it."""

from rein_seg.heads.image.cavpt import CAVPTHead
from rein_seg.heads.image.contract import ImageHead
from rein_seg.heads.image.linear import LinearImageHead
from rein_seg.heads.image.retrieval import RetrievalHead
from rein_seg.heads.image.text import TextImageHead

__all__ = ['CAVPTHead', 'ImageHead', 'LinearImageHead', 'RetrievalHead', 'TextImageHead']
