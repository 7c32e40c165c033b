"""Weights files for tests: written, renamed, loaded into an encoder."""

import re

import torch

from rein_seg.encoders import build_encoder


def from_file(cfg, path):
    """Builds the encoder of a config, and its description, with the weights of a file."""
    cfg = {key: value for key, value in cfg.items() if key != 'init_seed'}
    return build_encoder({**cfg, 'checkpoint': str(path)})


def load(cfg, state, folder):
    """Builds the encoder of a config with the weights of ``state``, by way of a file."""
    torch.save(state, folder / 'w.pth')
    return from_file(cfg, folder / 'w.pth')[0]


def renamed(state, rules):
    """Applies each rule (pattern, replacement) to all names."""
    for pattern, replacement in rules:
        state = {re.sub(pattern, replacement, name): tensor for name, tensor in state.items()}
    return state
