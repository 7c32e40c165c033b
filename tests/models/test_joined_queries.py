"""Queries inside the encoder, against the blocks called one after the other."""

import copy

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.heads import EoMTHead
from rein_seg.models.backbone import PEFTBackbone
from tests.encoders.tiny import ENCODERS, with_norm
from tests.heads.eomt.joined import PLAIN

ENCODER = {**ENCODERS['dinov2_registers'], 'final_norm': True}
WIDTH, QUERIES, PREFIX = 16, 5, 3
FROZEN, LORA = dict(type='Frozen'), dict(type='LoRA', rank=2)


def image(batch=2):
    return torch.randn(batch, 3, 32, 48, generator=torch.Generator().manual_seed(7))


def build(peft=FROZEN, *, blocks=2, encoder=ENCODER, probabilities=None, head=None, **options):
    torch.manual_seed(1)
    backbone = PEFTBackbone(encoder, peft, **options)
    sizes = dict(num_classes=3, in_strides=8, num_queries=QUERIES, num_blocks=blocks)
    head = EoMTHead(backbone.out_channels[-1], **{**sizes, **(head or {})})
    if probabilities is not None:
        head.attn_mask_probs.copy_(torch.tensor(probabilities))
    with torch.no_grad():
        for param in backbone.peft.parameters():
            param.normal_(0, 0.1)
    backbone.join(head)
    return backbone, head


def attend(block, x, mask):
    """One block of mmpretrain's, its attention with a dense mask written out."""
    y = block.ln1(x)
    q, k, v = block.attn.qkv(y).unflatten(-1, (3, 2, WIDTH // 2)).permute(2, 0, 3, 1, 4)
    scores = q @ k.transpose(-1, -2) / (WIDTH // 2) ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None], -torch.inf)
    y = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
    x = x + block.attn.gamma1(block.attn.proj(y))
    return block.ffn(block.ln2(x), identity=x)


def written_out(backbone, head, images, frees=None):
    """The official order of the computation: predict, mask, run the block, with one sequence."""
    encoder = backbone.encoder
    x, grid = encoder.sequence(images)
    predictions, first = [], len(encoder.layers) - head.num_blocks
    for index, block in enumerate(encoder.layers):
        if index == first:
            x = torch.cat((head.q.weight.expand(len(x), -1, -1), x), dim=1)
        if index < first:
            x = attend(block, x, None)
            continue
        predictions.append(predict(encoder, head, x, grid))
        masks = torch.nn.functional.interpolate(predictions[-1][1], grid, mode='bilinear')
        mask = torch.ones(len(x), x.shape[1], x.shape[1], dtype=torch.bool)
        mask[:, :QUERIES, QUERIES + PREFIX :] = masks.flatten(2) > 0
        if frees is not None:
            mask[:, :QUERIES][frees[index - first]] = True
        x = attend(block, x, mask)
    return [*predictions, predict(encoder, head, x, grid)]


def predict(encoder, head, x, grid):
    y = encoder.ln1(x)
    patches = y[:, QUERIES + PREFIX :].transpose(1, 2).unflatten(2, grid)
    return head.predict_tokens(y[:, :QUERIES], patches)


def score(predictions):
    """A scalar that every prediction takes part in."""
    tensors = [tensor for pair in predictions for tensor in pair]
    return sum((t * torch.linspace(-1, 1, t.numel()).view(t.shape)).sum() for t in tensors)


def gradients(loss, *modules):
    params = [p for module in modules for p in module.parameters() if p.requires_grad]
    return torch.autograd.grad(loss, params, allow_unused=True)


@pytest.mark.parametrize('blocks', [1, 2])
def test_predictions_and_gradients_are_the_loop_s(blocks):
    backbone, head = build(dict(type='Full'), blocks=blocks)
    backbone.eval()
    head.train()
    found = head.predictions(backbone(image()))
    expected = written_out(backbone, head, image())
    assert len(found) == len(expected) == blocks + 1
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    ours, theirs = (gradients(score(each), backbone, head) for each in (found, expected))
    assert all(gradient is not None for gradient in ours)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_draws_free_some_queries_of_a_block():
    class Stored:
        def uniform(self, block, batch, queries, device):
            return torch.linspace(0, 0.99, batch * queries).view(batch, queries).roll(block, 1)

    backbone, head = build(probabilities=[0.4, 0.7])
    head.train().mask_draws = Stored()
    frees = [Stored().uniform(i, 2, QUERIES, 'cpu') > p for i, p in enumerate((0.4, 0.7))]
    with torch.no_grad():
        found = head.predictions(backbone(image()))
        expected = written_out(backbone, head, image(), frees)
        masked = written_out(backbone, head, image())
    torch.testing.assert_close(found[-1], expected[-1], rtol=1e-4, atol=1e-5)
    assert (found[-1][1] - masked[-1][1]).abs().max() > 1e-3


@pytest.mark.parametrize('name', PLAIN)
def test_a_query_depends_on_the_patches_it_may_see_alone(name):
    backbone, head = build(encoder=with_norm(ENCODERS[name]), blocks=1, head=dict(num_queries=3))
    entered, masks = [], []

    def note(module, args):
        entered.append(args[0].detach().requires_grad_())
        return (entered[-1], *args[1:])

    backbone.joined.sites[-1].entry.module.register_forward_pre_hook(note, prepend=True)
    look = head.look
    head.look = lambda *args: masks.append(look(*args)) or masks[-1]
    features = backbone(image())
    (inside,) = masks
    assert 0 < inside.float().mean() < 1
    prefix = entered[0].shape[1] - inside.shape[2]
    for query in range(3):
        total = features.queries[:, query, : WIDTH // 2].square().sum()
        (gradient,) = torch.autograd.grad(total, entered[0], retain_graph=True)
        reaches = gradient.abs().amax(-1) > 0
        assert torch.equal(reaches[:, prefix:], inside[:, query])
        assert reaches[:, :prefix].all()
    (gradient,) = torch.autograd.grad(features.maps[-1][:, :, 0, 0].square().sum(), entered[0])
    assert (gradient.abs().amax(-1) > 0).all()  # a patch sees every token


@torch.no_grad()
def test_tests_mask_every_query_of_a_block_or_none():
    backbone, head = build(probabilities=[0.4, 0.6])
    head.eval()
    features = backbone(image())
    assert len(features.early) == 1
    none = [torch.ones(2, QUERIES, dtype=torch.bool), torch.zeros(2, QUERIES, dtype=torch.bool)]
    expected = written_out(backbone, head, image(), none)
    torch.testing.assert_close(features.early[0], expected[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(head.predictions(features)[-1], expected[-1], rtol=1e-4, atol=1e-5)
    head.attn_mask_probs.zero_()
    assert backbone(image()).early == ()


def test_activation_checkpointing_has_the_same_values_and_gradients():
    peft = [LORA, dict(type='VPT', num_tokens=2)]
    results = []
    for saving in (False, True):
        backbone, head = build(peft, probabilities=[0.3, 1.0], activation_checkpointing=saving)
        backbone.train()
        torch.manual_seed(3)
        loss = score(head.train().predictions(backbone(image())))
        results.append((loss, gradients(loss, backbone, head)))
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-5)
    assert all(gradient.isfinite().all() for gradient in results[1][1])
    state = backbone.anatomy.state
    assert (state.joined, state.row_mask, state.num_prompts) == (None, None, 0)


@torch.no_grad()
def test_detach_leaves_the_encoder_and_attach_brings_the_queries_back():
    backbone, head = build(dict(type='VPT', num_tokens=3))
    before = head.predictions(backbone(image()))[-1]
    plain = PEFTBackbone(ENCODER, FROZEN)(image()).maps[-1]
    assert not torch.equal(backbone(image()).maps[-1], plain)
    backbone.detach()
    assert torch.equal(backbone.encoder(image())[-1], plain)
    backbone.attach()
    torch.testing.assert_close(head.predictions(backbone(image()))[-1], before, rtol=0, atol=0)


@torch.no_grad()
def test_merged_backbones_keep_their_queries():
    backbone, head = build(LORA, probabilities=[0.0, 0.0])
    head.eval()
    before = head.predictions(backbone(image()))[-1]
    backbone.merge()
    torch.testing.assert_close(
        head.predictions(backbone(image()))[-1], before, rtol=1e-4, atol=1e-5
    )


@torch.no_grad()
def test_a_deep_copy_follows_the_copy_s_head():
    model = torch.nn.ModuleList(build(LORA))
    twin = copy.deepcopy(model)
    before = model[1].predictions(model[0](image()))[-1]
    for param in twin.parameters():
        param.mul_(1.5)
    assert twin[0].joined.head is twin[1]
    torch.testing.assert_close(model[1].predictions(model[0](image()))[-1], before, rtol=0, atol=0)
    changed = twin[1].predictions(twin[0](image()))[-1]
    assert (changed[1] - before[1]).abs().max() > 1e-2


@torch.no_grad()
def test_an_encoder_that_runs_outside_its_backbone_has_no_queries():
    backbone, _ = build()
    plain = PEFTBackbone(ENCODER, FROZEN)(image()).maps[-1]
    assert torch.equal(backbone.encoder(image())[-1], plain)
    assert torch.equal(backbone.alone(image()).maps[-1], plain)


def test_a_failed_pass_leaves_nothing_behind():
    backbone, head = build()
    good = head.predictions(backbone(image()))[-1]
    block = backbone.encoder.layers[1]
    handle = block.ffn.register_forward_pre_hook(lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        backbone(image())
    handle.remove()
    torch.testing.assert_close(head.predictions(backbone(image()))[-1], good, rtol=0, atol=0)


def test_queries_of_the_method_take_the_place_of_learned_ones():
    rein = dict(type='Rein', num_tokens=4, rank=2, query_dims=WIDTH)
    backbone, head = build(rein, head=dict(query_dims=WIDTH))
    features = backbone(image())
    assert features.queries.shape == (2, 4, WIDTH)
    score(head.predictions(features)).backward()
    # their own linear trains through the blocks
    grads = {n: p.grad for n, p in backbone.peft.named_parameters()}
    assert all(g is not None and g.any() for n, g in grads.items()), grads.keys()


@pytest.mark.parametrize(
    ('name', 'changes', 'blocks', 'message'),
    [
        (
            'vit_tiny',
            dict(final_norm=True),
            3,
            'num_blocks=3, but the encoder has 2 blocks: choose',
        ),
        ('tiny_clip', dict(final_norm=True, out_indices=[0]), 1, r'set encoder.out_indices=\[1\]'),
        ('vit_tiny', {}, 1, 'expected encoder.final_norm=True; set it'),
        ('sam', {}, 1, "the 'vit_sam' encoder holds no plain sequence of tokens: expected a plain"),
        ('swin', {}, 1, "the 'swin' encoder holds no plain sequence of tokens"),
        ('convnext', {}, 1, "the 'convnext' encoder holds no plain sequence of tokens"),
        ('hlg', {}, 1, "the 'hlg' encoder holds no plain sequence of tokens"),
        ('pvtv2', {}, 1, 'holds no plain sequence of tokens'),
    ],
)
def test_encoders_that_cannot_be_joined(name, changes, blocks, message):
    backbone = PEFTBackbone({**ENCODERS[name], **changes}, FROZEN)
    head = EoMTHead(WIDTH, num_classes=3, in_strides=8, num_blocks=blocks)
    with pytest.raises(UserError, match=message):
        backbone.join(head)
    assert backbone.joined is None


def test_the_model_joins_its_head():
    cfg = dict(
        type='PEFTSegmentor',
        backbone=dict(type='PEFTBackbone', encoder=ENCODERS['vit_tiny'], peft=LORA),
        decode_head=dict(type='EoMTHead', num_queries=5, num_blocks=1, loss=dict(num_points=8)),
        auxiliary_head=dict(type='LinearHead'),
        num_classes=3,
    )
    model = MODELS.build(cfg)
    assert model.backbone.joined.head is model.decode_head
    assert not any(name.startswith('backbone.joined') for name in model.state_dict())
    losses = model.feature_losses(model.extract_feat(image()), torch.zeros(2, 32, 48).long())
    parts = ('loss_cls', 'loss_dice', 'loss_mask')
    assert {f'decode.{early}{part}' for early in ('', 'd0.') for part in parts} < losses.keys()
    assert 'aux_0.loss_ce' in losses
