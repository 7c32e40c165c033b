"""Masks of inserted tokens: a token that a query may not see changes nothing in the query's row."""

import contextlib
import copy
import functools

import pytest
import torch
import torch.nn.functional as F

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.encoders.masked_attention import attend
from rein_seg.errors import UserError
from rein_seg.fast.dispatch import without
from rein_seg.library.find import find_encoder
from rein_seg.models.checkpointing import checkpoint_blocks
from rein_seg.peft import VPT, PEFTMethod
from rein_seg.structures import RowMask, SeqSite
from tests.encoders import transformers_models
from tests.encoders.tiny import ENCODERS, image, layout

STAGED = ('hlg', 'pgt', 'pvt')
PLAIN = [name for name in sorted(ENCODERS) if layout(name) == 'NLC' and not name.startswith(STAGED)]
FORMS = [(), ('split_rows',)]  # fast forms that are left out
MASKED = 1  # of three queries, and it may not see the last patch


class Queries(PEFTMethod):
    """Three tokens in the last blocks; with ``masks``, one of them does not see the last patch."""

    def __init__(self, *, masks=True, blocks=1):
        super().__init__()
        self.masks, self.blocks, self.out = masks, blocks, None
        self.tokens = torch.nn.Parameter(torch.zeros(1))

    def build(self, anatomy):
        drawn = torch.randn(
            3, anatomy.stage_channels[-1], generator=torch.Generator().manual_seed(1)
        )
        self.tokens = torch.nn.Parameter(drawn)

    def connect(self, anatomy):
        for site in anatomy.find(SeqSite)[-self.blocks :]:
            mask = self.mask if self.masks else None
            self.hook(site, self.insert, collect=self.collect, mask=mask)

    def insert(self, x, context):
        return self.tokens.expand(len(x), -1, -1)

    def collect(self, tokens, context):
        self.out = tokens

    def mask(self, x, context):
        allowed = torch.ones(len(x), 3, x.shape[1], dtype=torch.bool)
        allowed[:, MASKED, -1] = False
        return allowed


def built(family):
    encoder, _ = build_encoder(ENCODERS[family])
    draw_weights(encoder)
    return encoder, find_anatomy(encoder)


def draw_weights(encoder):
    """Gives every branch an effect: at their start some are almost zero."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for param in encoder.parameters():
            param.copy_(torch.randn(param.shape, generator=generator) * 0.2)


def run(encoder, anatomy, *, masks=True, change=0.0, pixels=None):
    """Returns queries and maps of a pass whose last patch is changed in front of the last block."""
    block = anatomy.find(SeqSite)[-1].entry.module

    def on_input(module, args):
        x = args[0].clone()
        x[:, -1, ::2] += change  # a norm would remove the same change of all channels
        return (x, *args[1:])

    handle = block.register_forward_pre_hook(on_input)
    method = Queries(masks=masks)
    method.attach(encoder, anatomy)
    with torch.no_grad():
        maps = encoder(image() if pixels is None else pixels)
    method.detach()
    handle.remove()
    return method.out, maps


@pytest.mark.parametrize('left_out', FORMS, ids=['fast', 'plain'])
@pytest.mark.parametrize('family', PLAIN)
def test_a_hidden_patch_changes_nothing_in_the_row_of_a_query(family, left_out):
    encoder, anatomy = built(family)
    with without(*left_out) if left_out else contextlib.nullcontext():
        (found, maps), (changed, _) = (run(encoder, anatomy, change=c) for c in (0.0, 2.0))
        free, free_maps = run(encoder, anatomy, masks=False)
    assert torch.equal(found[:, MASKED], changed[:, MASKED])
    others = [0, 2]
    assert (found[:, others] - changed[:, others]).abs().amax((0, 2)).min() > 1e-4
    # all other rows are as without a mask
    torch.testing.assert_close(found[:, others], free[:, others], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(maps[-1], free_maps[-1], rtol=1e-4, atol=1e-5)
    assert (found[:, MASKED] - free[:, MASKED]).abs().max() > 1e-4
    assert anatomy.state.row_mask is None
    after = [run(encoder, anatomy, masks=False)[0] for _ in range(2)]
    assert torch.equal(after[0], after[1])  # the mask is gone with the method


@functools.cache
def bare_modules():
    import timm
    import torchvision

    sizes = dict(depth=2, img_size=32, patch_size=8, embed_dim=16, num_heads=2)
    names = ('dinov2_registers', 'vit', 'dinov3', 'clip_tower', 'siglip')
    mixed = timm.create_model('vit_small_patch16_rope_mixed_224', **sizes)
    return {
        **{name: find_encoder(transformers_models.model(name))[1] for name in names},
        'torchvision': torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32),
        'timm': timm.create_model('vit_tiny_patch16_224', **sizes),
        'timm_diff': timm.create_model('vit_tiny_patch16_224', attn_layer='diff', **sizes),
        'timm_rope_mixed': mixed,
    }


@pytest.mark.parametrize('name', bare_modules())
def test_modules_of_other_packages_obey_a_mask(name):
    encoder = copy.deepcopy(bare_modules()[name]).eval()
    draw_weights(encoder)
    anatomy = find_anatomy(encoder)
    for module, _, hook in anatomy.hooks:
        module.register_forward_pre_hook(hook, with_kwargs=True)
    pixels = image(32, 32)
    found, changed = (run(encoder, anatomy, change=c, pixels=pixels)[0] for c in (0.0, 2.0))
    assert torch.equal(found[:, MASKED], changed[:, MASKED])
    assert (found[:, 0] - changed[:, 0]).abs().max() > 1e-4


@pytest.mark.parametrize('family', ['dinov3', 'eva02', 'pe_spatial'])
def test_rotary_positions_act_on_patches_only(family):
    """Equal queries with equal masks stay equal, and their place in the sequence does not count."""
    encoder, anatomy = built(family)
    method = Queries()
    method.attach(encoder, anatomy)
    with torch.no_grad():
        method.tokens.copy_(method.tokens[:1].clone())
        encoder(image())
    torch.testing.assert_close(method.out[:, 0], method.out[:, 2], rtol=0, atol=1e-6)
    assert (method.out[:, 0] - method.out[:, MASKED]).abs().max() > 1e-4


def test_masked_rows_behind_the_prompts_of_another_method():
    """A mask covers tokens that are there already, and is widened by tokens that come later."""
    seen = {}
    for order in ('before', 'after'):
        encoder, anatomy = built('dinov2_registers')
        prompts, method = VPT(num_tokens=2, blocks='last 1'), Queries()
        torch.manual_seed(0)
        for each in (prompts, method) if order == 'before' else (method, prompts):
            each.attach(encoder, anatomy)
        attention = anatomy.find(SeqSite)[-1].entry.module.attn
        attention.register_forward_hook(
            lambda *args, order=order, state=anatomy.state: seen.update({order: state.row_mask})
        )
        with torch.no_grad():
            encoder(image())
    # class token and 2 registers, 2 prompts, 3 queries, 24 patches
    for order, start in (('before', 5), ('after', 3)):
        rows = seen[order]
        assert (rows.start, rows.allowed.shape) == (start, (2, 3, 32)), order
        hidden = (~rows.allowed).nonzero()
        assert hidden.tolist() == [[0, MASKED, 31], [1, MASKED, 31]]


@pytest.mark.parametrize('family', ['sam', 'swin', 'pvt_v2', 'hlg', 'pgt'])
def test_blocks_that_take_no_mask_say_why(family):
    encoder, _ = build_encoder(ENCODERS[family])
    anatomy = find_anatomy(encoder)
    site = anatomy.find(SeqSite)[-1]
    assert not site.takes_mask
    with pytest.raises(
        UserError, match=f'takes no mask: {site.why_no_mask[:20]}.*expected a plain'
    ):
        Queries().attach(encoder, anatomy)


def test_attention_of_transformers_without_place_for_a_mask_is_refused():
    encoder = copy.deepcopy(transformers_models.model('dinov2'))
    encoder.config._attn_implementation = 'flash_attention_2'
    site = find_anatomy(encoder).find(SeqSite)[0]
    assert not site.takes_mask
    assert 'flash_attention_2' in site.why_no_mask


@pytest.mark.parametrize(
    ('mask', 'message'),
    [
        (torch.ones(2, 3, 5, dtype=torch.bool), r'is \(2, 3, 5\) of torch.bool: expected \(2, 3'),
        (torch.ones(2, 3, 28), 'of torch.float32: expected'),
    ],
)
def test_a_mask_of_another_shape_or_type_is_refused(mask, message):
    encoder, anatomy = built('vit_tiny')
    method = Queries()
    method.mask = lambda x, context: mask
    method.attach(encoder, anatomy)
    with pytest.raises(UserError, match=message):
        encoder(image())


def test_two_masks_in_a_block_are_refused():
    encoder, anatomy = built('vit_tiny')
    Queries().attach(encoder, anatomy)
    Queries().attach(encoder, anatomy)
    with pytest.raises(UserError, match='two hooks give a mask: expected one mask a block'):
        encoder(image())


@pytest.mark.parametrize('shift', [0, 4, 9])
def test_two_calls_compute_what_a_dense_mask_computes(shift):
    """Masked rows in front, in the middle and at the end, with gradients."""
    generator = torch.Generator().manual_seed(0)
    q, k, v, slope = (torch.randn(2, 2, 12, 4, generator=generator) for _ in range(4))
    allowed = torch.rand(2, 3, 12, generator=generator) > 0.5
    allowed[..., 0] = True
    rows, found = RowMask(shift, allowed), []
    for function in (attend, attend.plain):
        leaves = [x.clone().requires_grad_() for x in (q, k, v)]
        out = function(F.scaled_dot_product_attention, *leaves, rows)
        found.append((out, *torch.autograd.grad(out, leaves, slope)))
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('family', ['dinov2_registers', 'dinov3'])
def test_activation_checkpointing_sees_the_same_mask(family):
    found = []
    for saving in (False, True):
        encoder, anatomy = built(family)
        method = Queries(blocks=2)
        method.attach(encoder, anatomy)
        if saving:
            checkpoint_blocks(anatomy)
        maps = encoder(image())
        found.append(torch.autograd.grad(method.out.sum() + maps[-1].pow(2).sum(), method.tokens))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('family', ['dinov2_registers', 'dinov3'])
def test_compiled_and_in_bf16_and_as_a_copy(family):
    encoder, anatomy = built(family)
    encoder.method = method = Queries(blocks=2)
    encoder.anatomy = anatomy  # a copy of the encoder takes both along, as a backbone's does
    method.attach(encoder, anatomy)
    with torch.no_grad():
        maps = encoder(image())
        queries = method.out
        compiled = torch.compile(encoder, backend='aot_eager', dynamic=False)(image())
        torch.testing.assert_close(compiled[-1], maps[-1], rtol=1e-4, atol=1e-5)
        with torch.autocast('cpu', torch.bfloat16):
            rounded = encoder(image())
        scale = maps[-1].abs().max()
        assert (rounded[-1].float() - maps[-1]).abs().max() < 0.05 * scale
        twin = copy.deepcopy(encoder)
        method.detach()  # the copy keeps hooks and masks of its own
        again = twin(image())
        assert torch.equal(again[-1], maps[-1])
        assert torch.equal(twin.method.out, queries)
        twin.method.detach()
        plain = encoder(image())
        assert torch.equal(twin(image())[-1], plain[-1])
