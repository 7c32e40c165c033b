"""Sites of PGT: prompts, the middle of a block, the end at the last output."""

import pytest
import torch
import torch.nn.functional as F

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.errors import UserError
from rein_seg.peft import VPT, PEFTMethod
from rein_seg.structures import NormSite, OpSite, ParamSite, SeqSite, StreamSite
from tests.encoders.tiny import ENCODERS, image

GRIDS = [(8, 12), (8, 12), (4, 6)]  # of the blocks


def build(**options):
    encoder, _ = build_encoder({**ENCODERS['pgt'], **options})
    return encoder, find_anatomy(encoder)


@pytest.mark.parametrize('padding', ['intent', 'official'])
def test_prompts_are_tokens_but_for_the_depthwise_convolution(padding):
    seen, collected = {}, []

    def insert(x, context):
        return torch.ones(x.shape[0], 5, x.shape[-1])

    def look(x, y, context):
        grid, ahead = context.grid(y), context.num_prefix
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

    encoder, anatomy = build(padding=padding)
    with torch.no_grad():
        before = encoder(image())
        Prompts().attach(encoder, anatomy)
        after = encoder(image())
    assert [x.shape for x in before] == [x.shape for x in after]
    assert not torch.allclose(before[-1], after[-1])
    assert collected == [(2, 5, 16), (2, 5, 16), (2, 5, 32)]
    assert seen.pop('cpe') == [(grid, 0) for grid in GRIDS]
    projected = [(9, 15), (9, 15), (4, 6)] if padding == 'official' else GRIDS
    for role in ('q', 'kv'):
        assert seen.pop(role) == [(grid, 5) for grid in projected]
    for role in ('norm1', 'proj', 'norm2', 'fc1', 'fc2'):
        assert seen.pop(role) == [(grid, 5) for grid in GRIDS]
    assert not seen
    assert anatomy.state.num_prompts == 0


def test_shallow_prompts_enter_a_stage_through_its_embedding():
    encoder, anatomy = build()
    VPT(num_tokens=3, form='shallow').attach(encoder, anatomy)
    ends, starts = [], []
    encoder.stages[0].blocks[1].register_forward_hook(
        lambda m, args, out: ends.append(out[:, :3]), prepend=True
    )
    encoder.stages[1].blocks[0].norm1.register_forward_pre_hook(
        lambda m, args: starts.append(args[0][:, :3])
    )
    with torch.no_grad():
        encoder(image())
        embed = encoder.stages[1].transform
        patches = ends[0].flatten(0, 1)[..., None, None].expand(-1, -1, 2, 2)
        expected = embed.norm(embed.proj(patches).flatten(1)).unflatten(0, (2, 3))
    torch.testing.assert_close(starts[0], expected)


def test_a_change_in_the_middle_passes_the_depthwise_convolution():
    """x + d behind the attention: feed-forward, residual sum and convolution all see it."""

    class Push(PEFTMethod):
        def connect(self, anatomy):
            self.hook(
                anatomy.find(StreamSite, where='mid', blocks=[2])[0], lambda x, c: x * 0 + 0.5
            )

    encoder, anatomy = build()
    block, caught = encoder.stages[1].blocks[0], []
    block.register_forward_hook(lambda m, args, out: caught.append((args[0], out)))
    Push().attach(encoder, anatomy)
    with torch.no_grad():
        encoder(image())
        ((x, found),) = caught
        anatomy.state.grid = (4, 6)
        x = x + block.attn(block.norm1(x)) + 0.5
        norm = block.norm2  # without the method's hook
        second = block.ffn(F.layer_norm(x, (32,), norm.weight, norm.bias))
        torch.testing.assert_close(found, block.cpe(x + second))


def test_sites_end_at_the_last_output():
    encoder, anatomy = build(out_indices=[0])
    assert (anatomy.out_channels, anatomy.out_strides, anatomy.num_blocks) == ((16,), (4,), 2)
    names = {site.name for site in anatomy.find(ParamSite)}
    assert names == {n for n, _ in encoder.named_parameters() if not n.startswith('stages.1')}
    assert anatomy.smallest_side == 4
    anatomy.check_size((4, 4))
    with pytest.raises(UserError, match='PGT takes images with sides of 4 pixels or more'):
        anatomy.check_size((3, 4))  # before a run begins
    assert build()[1].smallest_side == 8
