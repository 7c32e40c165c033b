"""Tokens that a method inserts: they take part, and come out again, on sequences and maps."""

import pytest
import torch
import torch.nn.functional as F

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.peft import VPT, PEFTMethod
from rein_seg.structures import NormSite, OpSite, SeqSite, StreamSite
from tests.encoders.tiny import ENCODERS, image, layout

# the blocks of these keep the grid
MAP_FAMILIES = ['sam', 'swin']

# stages of tokens: encoder -> the grids of its blocks, channels, grids of the keys
STAGES = {
    name: ([(8, 12), (4, 6), (4, 6)], [16, 32, 32], keys)
    for name, keys in (
        ('pvt_v1', [(2, 3), (2, 3), (2, 3)]),
        ('pvt_v2', [(2, 3), (2, 3), (2, 3)]),
        ('pvt_linear', [(7, 7), (7, 7), (7, 7)]),
    )
}

# HLG and PGT have tests of their own
SEQ_FAMILIES = [
    name
    for name in sorted(ENCODERS)
    if layout(name) == 'NLC' and not name.startswith(('hlg', 'pgt', *STAGES))
]


@pytest.mark.parametrize('family', SEQ_FAMILIES)
def test_seq_tokens_take_part_and_are_taken_out(family):
    grids, counts = [], []

    def insert(x, context):
        grids.append((context.grid(x), context.num_prefix))
        return torch.ones(x.shape[0], 4, x.shape[2])

    def inner(x, y, context):
        counts.append((x.shape[1], context.num_prefix))
        return y

    encoder, _ = build_encoder(ENCODERS[family])
    anatomy = find_anatomy(encoder)
    collected = []

    class Prompts(PEFTMethod):
        def connect(self, anatomy):
            for site in anatomy.find(SeqSite):
                self.hook(site, insert, collect=lambda t, c: collected.append(t.shape))
            for site in anatomy.find(OpSite, role='fc1'):
                self.hook(site, inner)

    with torch.no_grad():
        before = encoder(image())
        Prompts().attach(encoder, anatomy)
        after = encoder(image())
    assert [m.shape for m in after] == [m.shape for m in before]
    assert not torch.allclose(before[0], after[0])
    blocks, prefix = anatomy.num_blocks, anatomy.num_prefix
    assert grids == [((4, 6), prefix)] * blocks
    # inside the block the prompts count as prefix tokens
    # (a SwiGLU of two linears has two)
    assert len(counts) in (blocks, 2 * blocks)
    assert set(counts) == {(prefix + 4 + 24, prefix + 4)}
    assert collected == [(2, 4, *anatomy.stage_channels)] * blocks
    assert anatomy.state.num_prompts == 0


@pytest.mark.parametrize('family', MAP_FAMILIES)
def test_seq_tokens_lie_in_rows_below_a_map(family):
    """Norms and linears take them along; attention and the grid view do not see their rows."""
    seen = {'fc1': [], 'qkv': []}
    collected = []

    def insert(x, context):
        return torch.ones(x.shape[0], 7, x.shape[-1])

    def look(x, y, context):
        grid = context.grid(x)
        tokens = context.to_tokens(x)
        assert tokens.shape[1] == grid[0] * grid[1]
        back = context.from_tokens(tokens, x)
        assert back.shape == x.shape
        assert torch.equal(back[:, : grid[0]], x[:, : grid[0]])
        assert not back[:, grid[0] :].any()
        seen[context.site.role].append((grid, x.shape[1] - grid[0]))
        return y

    class Prompts(PEFTMethod):
        def connect(self, anatomy):
            for site in anatomy.find(SeqSite):
                self.hook(site, insert, collect=lambda t, c: collected.append(t.shape[1:]))
            for site in anatomy.find(OpSite, role=('fc1', 'qkv')):
                self.hook(site, look)

    encoder, _ = build_encoder(ENCODERS[family])
    anatomy = find_anatomy(encoder)
    with torch.no_grad():
        before = encoder(image())
        Prompts().attach(encoder, anatomy)
        after = encoder(image())
    assert [m.shape for m in after] == [m.shape for m in before]
    assert not torch.allclose(before[0], after[0])
    grids = {'sam': [((4, 6), 2)] * 2, 'swin': [((8, 12), 1)] * 2 + [((4, 6), 2)] * 2}[family]
    assert seen['fc1'] == grids
    assert {rows for _, rows in seen['qkv']} == {0}
    assert [(1, 7) in [grid for grid, _ in seen['qkv']]] == [True]  # the prompts, once an image
    blocks = [s.channels for s in anatomy.find(SeqSite)]
    assert collected == [(7, channels) for channels in blocks]
    assert anatomy.state.num_prompts == 0


@pytest.mark.parametrize('family', STAGES)
def test_seq_tokens_in_stages_of_tokens(family):
    """Prompts are queries and keys; reductions and convolutions do not see them."""
    seen, collected = {}, []

    def insert(x, context):
        return torch.ones(x.shape[0], 3, x.shape[-1])

    def look(x, y, context):
        grid = context.grid(y)
        ahead = context.num_prefix
        assert y.shape[1] == ahead + grid[0] * grid[1] if context.layout == 'NLC' else not ahead
        seen.setdefault(context.site.role, []).append((grid, ahead))
        return y

    class Prompts(PEFTMethod):
        def connect(self, anatomy):
            for site in anatomy.find(SeqSite):
                self.hook(site, insert, collect=lambda t, c: collected.append(tuple(t.shape)))
            for site in anatomy.sites:
                if isinstance(site, (OpSite, NormSite)) and site.block >= 0:
                    self.hook(site, look)

    encoder, _ = build_encoder(ENCODERS[family])
    anatomy = find_anatomy(encoder)
    with torch.no_grad():
        before = encoder(image())
        Prompts().attach(encoder, anatomy)
        after = encoder(image())
    assert [m.shape for m in after] == [m.shape for m in before]
    assert not torch.allclose(before[0], after[0])
    grids, channels, keys = STAGES[family]
    assert collected == [(2, 3, width) for width in channels]
    for role in ('norm1', 'q', 'proj', 'norm2', 'fc1', 'fc2'):
        assert seen.pop(role) == [(grid, 3) for grid in grids], role
    assert seen.pop('kv') == [(grid, 3) for grid in keys]
    reduced = [(grid, 0) for grid in keys]
    assert seen.pop('sr') == [one for one in reduced for _ in range(2)]  # operation and norm
    assert seen.pop('dw', [(grid, 0) for grid in grids]) == [(grid, 0) for grid in grids]
    assert not seen
    assert anatomy.state.num_prompts == 0


@pytest.mark.parametrize('form', ['deep', 'shallow'])
@pytest.mark.parametrize('family', STAGES)
def test_prompts_of_vpt_attend_as_tokens_without_a_place(family, form):
    """VPT's prompts of the last block, recomputed: queries, and keys beside the smaller map."""
    torch.manual_seed(0)
    encoder, _ = build_encoder(ENCODERS[family])
    anatomy = find_anatomy(encoder)
    method = VPT(num_tokens=3, form=form)
    method.attach(encoder, anatomy)
    caught = []
    block = encoder.get_submodule('block2.1')
    block.attn.register_forward_hook(lambda m, args, out: caught.append((args[0], out)))
    with torch.no_grad():
        encoder(image())
        ((x, found),) = caught
        tokens, attn = x[:, 3:], block.attn
        state, (q, size) = anatomy.state, (attn.q(x), (x.shape[0], -1, attn.num_heads, 8))
        state.num_prompts = 0
        keys = torch.cat((x[:, :3], attn.reduce(tokens, (4, 6))), dim=1)
        k, v = attn.kv(keys).chunk(2, dim=-1)
        q, k, v = (t.reshape(size).transpose(1, 2) for t in (q, k, v))
        weights = (q @ k.mT / 8**0.5).softmax(-1)
        expected = attn.proj((weights @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('family', STAGES)
def test_shallow_prompts_enter_a_stage_through_its_embedding(family):
    torch.manual_seed(0)
    encoder, _ = build_encoder(ENCODERS[family])
    anatomy = find_anatomy(encoder)
    VPT(num_tokens=3, form='shallow').attach(encoder, anatomy)
    ends, starts = [], []
    encoder.block1[-1].register_forward_hook(lambda m, a, out: ends.append(out), prepend=True)
    encoder.block2[0].norm1.register_forward_hook(lambda m, args, out: starts.append(args[0]))
    with torch.no_grad():
        encoder(image())
        prompts = ends[0][:, :3]
        conv, norm = encoder.patch_embed2.proj, encoder.patch_embed2.norm
        expected = norm(F.linear(prompts, conv.weight.sum((2, 3)), conv.bias))
    torch.testing.assert_close(starts[0][:, :3], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('family', ['dinov2', 'hlg', *MAP_FAMILIES, *STAGES])
def test_two_methods_insert_tokens_in_one_block(family):
    """Each gets its own out again, in their order."""
    out = {2: [], 3: []}

    class Prompts(PEFTMethod):
        def __init__(self, count):
            super().__init__()
            self.count = count

        def connect(self, anatomy):
            for site in anatomy.find(SeqSite):
                self.hook(site, self.insert, collect=lambda t, c: out[self.count].append(t))

        def insert(self, x, context):
            return torch.full((x.shape[0], self.count, x.shape[-1]), float(self.count))

    encoder, _ = build_encoder(ENCODERS[family])
    anatomy = find_anatomy(encoder)
    for param in encoder.parameters():
        param.data.zero_()  # blocks are the identity
    with torch.no_grad():
        before = encoder(image())
        for count in out:
            Prompts(count).attach(encoder, anatomy)
        after = encoder(image())
    assert all(torch.equal(x, y) for x, y in zip(before, after, strict=True))
    for count, tokens in out.items():
        assert all(t.shape[1] == count and (t == count).all() for t in tokens)


@pytest.mark.parametrize('family', ['dinov2', 'hlg', *MAP_FAMILIES, *STAGES])
def test_prompts_and_a_change_in_the_middle_go_together(family):
    """Whichever was attached first."""

    def push(x, context):
        return torch.ones_like(x) * 0.1

    class Prompts(PEFTMethod):
        def connect(self, anatomy):
            for site in anatomy.find(SeqSite):
                self.hook(site, lambda x, c: torch.ones(x.shape[0], 3, x.shape[-1]))

    class Middle(PEFTMethod):
        def connect(self, anatomy):
            for site in anatomy.find(StreamSite, where='mid'):
                self.hook(site, push)

    maps = []
    for order in ((Prompts, Middle), (Middle, Prompts)):
        encoder, _ = build_encoder(ENCODERS[family])
        anatomy = find_anatomy(encoder)
        for kind in order:
            kind().attach(encoder, anatomy)
        with torch.no_grad():
            maps.append(encoder(image())[-1])
    torch.testing.assert_close(*maps)
