"""The tiny run with a model that reads names: both towers in one file, a learned prompt."""

from pathlib import Path

from rein_seg.checkpoint import save_tensors
from rein_seg.datasets import MiniScapesDataset
from rein_seg.encoders import build_encoder
from rein_seg.text import WordTokenizer
from tests.text.towers import make_tower

ENCODER = dict(
    type='TinyCLIP',
    arch=dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64),
    img_size=(32, 64),
    patch_size=8,
    out_indices=[0, 1],
    joint_dims=16,
)
WORDS = sorted(
    {'a', 'photo', 'of', 'pond', 'lake'}
    | {word for name in MiniScapesDataset.METAINFO['classes'] for word in name.split()}
)
EXTRA = """
model['backbone']['encoder'] = dict(_delete_=True, **{encoder!r})
model['backbone']['peft'] = dict(_delete_=True, type='LoRA', rank=2)
model['decode_head'] = dict(_delete_=True, type='ATMHead', num_heads=2)
model['text'] = {text!r}
"""
PROMPT = dict(type='CoOp', num_context=2)


def write_towers(path, seed=0, words=()):
    """Writes both towers and their words as one file; returns its path."""
    tokenizer = WordTokenizer(sorted({*WORDS, *words}))
    image = build_encoder({**ENCODER, 'init_seed': seed})[0].state_dict()
    text = make_tower(seed, vocabulary=tokenizer.vocabulary).state_dict()
    image = {f'visual.{name}': tensor for name, tensor in image.items()}
    save_tensors(Path(path), {**image, **text, 'words': tokenizer.as_tensor()}, {})
    return str(path)


def extra(towers, text=PROMPT):
    """Returns the lines of a config of the model, with the weights in a file, or of a seed."""
    source = dict(init_seed=0) if towers is None else dict(checkpoint=str(towers))
    return EXTRA.format(encoder={**ENCODER, **source}, text=text)
