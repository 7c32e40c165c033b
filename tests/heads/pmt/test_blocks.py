"""Decoder blocks: masks of the queries' rows, names and initial values of parameters."""

import torch
import torch.nn.functional as F

from rein_seg.heads.pmt.blocks import DecoderBlock, attend
from rein_seg.heads.pmt.rotary import rotary_table

QUERIES, PREFIX, GRID = 3, 2, (2, 3)
PATCHES = 6


def draw(batch=2):
    torch.manual_seed(0)
    length = QUERIES + PREFIX + PATCHES
    look = torch.rand(batch, QUERIES, PATCHES) < 0.5
    look[0, 0] = False  # a query that sees no patch still sees queries and prefix
    return torch.randn(batch, length, 8), look, rotary_table(GRID, 4)


def test_a_query_sees_the_patches_of_its_mask_alone():
    block = DecoderBlock(8, num_heads=2, hidden=16)
    x, look, table = draw()
    x.requires_grad_()
    y = block.attention(block.norm1(x), table, look)
    for image in range(2):
        for row in range(QUERIES + PREFIX + PATCHES):
            (gradient,) = torch.autograd.grad(y[image, row].sum(), x, retain_graph=True)
            seen = gradient[image].abs().sum(1) > 0
            patches = seen[QUERIES + PREFIX :]
            assert seen[: QUERIES + PREFIX].all()
            assert torch.equal(patches, look[image, row]) if row < QUERIES else patches.all()


def test_an_open_mask_is_no_mask():
    q, k, v = torch.randn(3, 2, 2, 11, 4)
    opened = attend(q, k, v, torch.ones(2, QUERIES, PATCHES, dtype=torch.bool))
    torch.testing.assert_close(opened, F.scaled_dot_product_attention(q, k, v))


def test_names_and_first_values_are_the_official_ones():
    block = DecoderBlock(8, num_heads=2, hidden=16)
    names = set(block.state_dict())
    assert 'attention.k_proj.bias' not in names
    assert {'attention.o_proj.bias', 'layer_scale2.lambda1', 'mlp.down_proj.weight'} <= names
    assert (block.layer_scale1.lambda1 == 1).all()
    assert block.norm1.eps == block.norm2.eps == 1e-5


def test_a_compiled_block_is_one_graph_with_the_same_result():
    block = DecoderBlock(8, num_heads=2, hidden=16)
    x, look, table = draw()
    compiled = torch.compile(block, backend='aot_eager', dynamic=False, fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x, table, look), block(x, table, look))
