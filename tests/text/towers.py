"""Tiny text towers, their configs and files."""

import torch

from rein_seg.checkpoint import save_tensors
from rein_seg.text import TextTower, WordTokenizer
from rein_seg.text.source import draw_tower

WORDS = ['a', 'photo', 'of', 'road', 'street', 'sky', 'traffic', 'light', 'tram', 'scene', 'the']
TOWER = dict(init_seed=0, width=16, layers=2, heads=2, dims=8, words=WORDS)


def make_tower(seed=0, **sizes):
    """A tower with CLIP's vocabulary unless sizes say another."""
    tower = TextTower(**{**dict(width=64, layers=2, heads=1, dims=16), **sizes})
    draw_tower(tower, seed)
    return tower.eval()


def words_file(path, words=WORDS, seed=0):
    """Writes a file of a tower with a word list of its own, and returns its path."""
    tokenizer = WordTokenizer(words)
    tower = make_tower(seed, vocabulary=tokenizer.vocabulary)
    save_tensors(path, {**tower.state_dict(), 'words': tokenizer.as_tensor()}, {})
    return str(path)


def halved(state):
    """Tensors in float16, as OpenAI's files hold most of theirs."""
    return {name: x.to(torch.float16) for name, x in state.items()}
