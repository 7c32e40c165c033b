"""Which tokens each method changes in a block with queries: seen at every module of the block."""

import pytest
import torch

from rein_seg.heads import EoMTHead
from tests.encoders.tiny import ENCODERS, with_norm
from tests.heads.eomt.joined import QUERIES, wide
from tests.peft.cases import CASES, named
from tests.peft.contract import build, image, needed, randomise

WIDTH, PREFIX = 16, 3  # of dinov2_registers
ALL, PATCHES, NONE = ('queries', 'patches'), ('patches',), ()
# methods that add to, or scale, what a module gives
CHANGES = {
    'lora': ALL,
    'dora': ALL,
    'vera': ALL,
    'pego': ALL,
    'kasa': ALL,
    'soma': ALL,
    'svf': ALL,
    'ssf': ALL,
    'rep_adapter': ALL,
    'adaptformer': ALL,
    'adapter': ALL,
    'mona_prefix': ALL,
    'hf_lora': ALL,
    'conv_lora': ALL,  # its experts see the patches alone; queries get plain LoRA
    'rein': PATCHES,
    'fada': PATCHES,
    'set': PATCHES,
    'conv_adapter': PATCHES,
    'mona': PATCHES,
    'spm': PATCHES,
    'pro_tuning': PATCHES,
    # these change the image, the sequence, or the encoder's own parameters
    'frpt': NONE,
    'vpt': NONE,
    'bitfit': NONE,
    'full': NONE,
    'frozen': NONE,
}
EXCEPT = ('CAVPT',)  # for encoders with a joint space: inserts tokens, as VPT


def joined(case):
    """A backbone whose blocks report each module's tensors before and behind the method."""
    peft = wide(case.cfg, WIDTH)
    backbone = build(
        case, 'dinov2_registers', encoder=with_norm(ENCODERS['dinov2_registers']), peft=peft
    )
    randomise(backbone)
    seen = {}
    for block in backbone.encoder.layers:
        for name, module in block.named_modules():
            key = f'{id(block)} {name}'
            watch(seen, f'{key} in', module.register_forward_pre_hook, lambda args: args[0][0])
            watch(seen, f'{key} out', module.register_forward_hook, lambda args: args[2])
    head = EoMTHead(
        WIDTH,
        num_classes=3,
        in_strides=8,
        query_dims=backbone.query_dims,
        num_queries=QUERIES,
        num_blocks=2,
    )
    backbone.join(head.eval())
    return backbone.eval(), seen


def watch(seen, key, register, pick):
    """Notes a tensor ahead of the method's hooks and behind them; the queries' come last."""
    seen[key] = []

    def note(module, *args):
        seen[key].append(pick(args if key.endswith('in') else (module, *args)))

    register(note, prepend=True)
    register(note)


@pytest.mark.parametrize(
    'name', [pytest.param(name, marks=needed(named(name))) for name in CHANGES]
)
@torch.no_grad()
def test_tokens_that_a_method_changes(name):
    backbone, seen = joined(named(name))
    features = backbone(image())
    prompts, number = (4 if name == 'vpt' else 0), features.queries.shape[1]
    joined_length = 24 + PREFIX + prompts + number
    changed = set()
    for pair in seen.values():
        before, after = pair[-2:]  # some methods let the frozen encoder run alone, first
        if not isinstance(before, torch.Tensor) or before.shape != after.shape:
            continue  # where tokens are inserted
        moved = (after - before).abs().amax((0, 2)) > 1e-6
        start = PREFIX + prompts
        end = start + (number if before.shape[1] == joined_length else 0)
        changed |= {'queries'} if moved[start:end].any() else set()
        changed |= {'patches'} if moved[end:].any() else set()
    assert changed == set(CHANGES[name])


def test_every_method_has_a_row():
    kinds = {case.cfg['type'] for case in CASES if isinstance(case.cfg, dict)}
    assert {named(name).cfg['type'] for name in CHANGES} == kinds - set(EXCEPT)


@torch.no_grad()
def test_prompts_are_never_masked():
    backbone, _ = joined(named('vpt'))
    masks = []
    attention = backbone.encoder.layers[-1].attn
    attention.register_forward_pre_hook(lambda *args: masks.append(backbone.anatomy.state.row_mask))
    backbone(image())
    (mask,) = masks
    ahead = PREFIX + 4 + QUERIES  # class and registers, prompts, the queries themselves
    assert (mask.start, mask.allowed.shape) == (PREFIX + 4, (2, QUERIES, ahead + 24))
    assert mask.allowed[..., :ahead].all()
    assert not mask.allowed[..., ahead:].all()


@torch.no_grad()
def test_queries_get_plain_lora_from_conv_lora():
    """Its convolutions see a grid of patches, which queries would shift."""
    backbone, seen = joined(named('conv_lora'))
    grids = []
    for layer in backbone.peft.modules():
        if type(layer).__name__ == 'Experts':
            layer.register_forward_pre_hook(lambda module, args: grids.append(args[0].shape[2:]))
    backbone(image())
    assert grids == [(4, 6), (4, 6)]
    qkv = f'{id(backbone.encoder.layers[-1])} attn.qkv'
    (x, _), (before, after) = seen[f'{qkv} in'], seen[f'{qkv} out']
    layer = list(backbone.peft.layers.values())[-1]
    low_rank = layer.scaling * x @ layer.lora_A.T @ layer.lora_B.T
    queries, patches = slice(PREFIX, PREFIX + QUERIES), slice(PREFIX + QUERIES, None)
    torch.testing.assert_close(
        (after - before)[:, queries], low_rank[:, queries], rtol=1e-4, atol=1e-5
    )
    assert ((after - before)[:, patches] - low_rank[:, patches]).abs().max() > 1e-3
