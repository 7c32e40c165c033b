"""Text towers, prompts and the embeddings of class names."""

from rein_seg.text.contract import TextBranch
from rein_seg.text.prompts import CoOp, PrefixDot, SharedContext
from rein_seg.text.source import TextSource, build_source
from rein_seg.text.table import ClassTable
from rein_seg.text.tokens import CLIPTokenizer, Tokenizer, WordTokenizer
from rein_seg.text.tower import TextTower

__all__ = [
    'CLIPTokenizer',
    'ClassTable',
    'CoOp',
    'PrefixDot',
    'SharedContext',
    'TextBranch',
    'TextSource',
    'TextTower',
    'Tokenizer',
    'WordTokenizer',
    'build_source',
]
