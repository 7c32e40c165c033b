"""Finds golden cases: the ones kept here, and those of every folder in REIN_SEG_GOLDEN."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

DATA = Path(__file__).parent / 'data'


@dataclass(frozen=True)
class Golden:
    """One case: the sidecar and the tensors, read when asked for."""

    path: Path
    meta: dict

    def tensors(self, prefix: str) -> dict[str, torch.Tensor]:
        """Tensors below ``prefix.``, without it."""
        prefix += '.'
        content = load_file(self.path.with_suffix('.safetensors'))
        return {k.removeprefix(prefix): v for k, v in content.items() if k.startswith(prefix)}

    def tensor(self, name: str) -> torch.Tensor:
        """The tensor of this full name."""
        return load_file(self.path.with_suffix('.safetensors'))[name]


# family -> kinds of its cases: the kind that a sidecar names, else the longest one that the case's
# name starts with; '' takes the rest of a family. A new case of these kinds needs no new code.
KINDS = {
    'adapter': ('houlsby', 'block', 'swin'),
    'adaptformer': ('',),
    'binary_metrics': ('saliency_metrics',),
    'cat_layer': ('ce_dice', 'iterations', 'layer', 'sampler', 'volume_metrics'),
    'cavpt': ('image_encoder', 'model', 'text_prompts'),
    'clip_resnet': ('', 'attention_pool', 'positions_convert'),
    'clip_text': ('', 'embeddings_shared_context', 'templates', 'tokens'),
    'conv_adapter': ('module', 'bottleneck', 'convnext', 'swin'),
    'conv_lora': (
        'conv_lora_linear',
        'losses',
        'mask2former_loss',
        'metrics',
        'sam_conv_lora',
        'sam_vision_encoder_conv_lora',
    ),
    'ddrnet': ('dappm', 'ddrnet'),
    'dense_clip': ('',),
    'dinov2': ('dinoofficial',),
    'dora': ('',),
    'duat': ('glsa', 'head', 'lab_exchange', 'metrics', 'model', 'sba', 'structure_loss'),
    'eomt': ('eomt',),
    'fada': ('',),
    'frpt': ('cah', 'recall', 'retrieval_head', 'sampler'),
    'ftn': ('', 'fpt_head'),
    'hlg': ('hlg_backbone', 'hlg_head', 'hlg_layer'),
    'lora': ('',),
    'mask2former': ('head', 'mask2former_loss', 'pixel'),
    'mask_annealing': ('mask_annealing', 'parameter_groups', 'two_stage_poly', 'warmup_cosine'),
    'mask_loss': ('mask_classification_loss', 'semantic_inference'),
    'mona': ('module', 'swin'),
    'pego': ('',),
    'pmt': ('pmt', 'pmt_decoder'),
    'pvt': ('pvt_v1', 'pvt_v2'),
    'rein': (
        'clip',
        'convert_dinov2',
        'convert_eva02',
        'dg_metric',
        'dino',
        'e2e',
        'eva',
        'optimizer',
        'reinhead',
        'reins',
        'reinsconvnext',
        'reinsdino',
        'reinseva',
        'reinsresnet',
    ),
    'sam': ('sam_image_encoder', 'sam_mask_decoder'),
    'set': ('',),
    'setr': ('setr_mla', 'setr_mla_aux_wide', 'setr_pos_embed_resize', 'setr_up'),
    'soma': ('', 'trainable_names'),
    'ssf': ('', 'convnext', 'swin', 'vit'),
    'svf': ('',),
    'vera': ('',),
    'vpt': ('', 'swin'),
    'zegclip': ('head', 'labels', 'losses', 'metric', 'segmentor', 'tower'),
    'zsseg': (
        'ensemble',
        'metric',
        'prompts_learned',
        'prompts_predefined',
        'proposal_head',
        'regions',
        'regions_matting_expand',
        'second_stage',
        'stage_zero',
    ),
}
# To keep the repository small, these kinds have no case in ``data``: a kept case of a larger model,
# (family, kind), runs the same code. Their own cases are tested through REIN_SEG_GOLDEN.
CONTAINED = {
    ('conv_lora', 'sam_vision_encoder_conv_lora'): ('conv_lora', 'sam_conv_lora'),
    ('mask2former', 'pixel'): ('mask2former', 'head'),
    ('mona', 'module'): ('mona', 'swin'),
    ('rein', 'dino'): ('rein', 'reinsdino'),
    ('rein', 'eva'): ('rein', 'reinseva'),
}
CLAIMED: dict[str, set[str]] = {}  # the kinds that tests asked for


def roots() -> list[Path]:
    extra = os.environ.get('REIN_SEG_GOLDEN', '').split(os.pathsep)
    return [DATA, *(Path(p) for p in extra if p)]


def sidecars(root: Path) -> list[tuple[str, Path]]:
    """Returns (family, path) of all cases below a root."""
    assert root.is_dir(), f'{root} of REIN_SEG_GOLDEN is not a folder'
    return [(path.parent.name, path) for path in sorted(root.glob('*/*.json'))]


def kind_of(family: str, path: Path, meta: dict) -> str | None:
    """Returns the kind of a case, None where no kind of its family is."""
    kinds = KINDS.get(family, ())
    named = meta.get('config', {}).get('kind', meta.get('kind'))
    if named in kinds:
        return named
    return max((k for k in kinds if path.stem.startswith(k)), key=len, default=None)


def cases(family: str, *kinds: str) -> list:
    """Returns pytest parameters of all cases of these kinds."""
    assert set(kinds) <= set(KINDS[family]), kinds
    CLAIMED.setdefault(family, set()).update(kinds)
    found = []
    for index, root in enumerate(roots()):
        for path in sorted((root / family).glob('*.json')):
            meta = json.loads(path.read_text())
            if kind_of(family, path, meta) in kinds:
                marks = pytest.mark.golden
                found.append(
                    pytest.param(Golden(path, meta), id=f'{index}-{path.stem}', marks=marks)
                )
    return found


def assert_near(actual: torch.Tensor, expected: torch.Tensor, name: str, tolerance: float = 1e-4):
    """Absolute plus relative tolerance, as the README of the vectors suggests."""
    torch.testing.assert_close(
        actual, expected, rtol=tolerance, atol=tolerance, msg=lambda m: f'{name}: {m}'
    )


def assert_gradient(actual: torch.Tensor, expected: torch.Tensor, name: str):
    """At most 1e-4 of the largest reference gradient away."""
    error = (actual - expected).abs().max()
    assert error <= 1e-4 * expected.abs().max(), f'{name}: {error} of {expected.abs().max()}'
