"""Text towers, prompts and the embeddings of class names."""

from rein_seg.text.contract import TextBranch
from rein_seg.text.table import ClassTable
from rein_seg.text.tower import TextTower

__all__ = ['ClassTable', 'TextBranch', 'TextTower']
