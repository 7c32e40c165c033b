"""ConvLoRA alone."""

import gc
import weakref

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import nn

from rein_seg.errors import UserError
from rein_seg.peft.context import Context
from rein_seg.peft.methods.conv_lora import ConvLoRA
from rein_seg.structures import Anatomy, OpSite, RunState, Tap
from tests.encoders.tiny import ENCODERS


def backbone(family='vit', *, activation_checkpointing=False, **options):
    torch.manual_seed(1)
    peft = dict(type='ConvLoRA', **{'num_experts': 4, **options})
    saving = dict(activation_checkpointing=activation_checkpointing)
    return MODELS.build(dict(type='PEFTBackbone', encoder=ENCODERS[family], peft=peft, **saving))


def anatomy_of(*ops, layout='NHWC', num_prefix=0, grid=(0, 0)):
    sites = tuple(
        OpSite(i, 0, i, op.weight.shape[1], 'qkv', f'{i}.qkv', Tap(op, 'output', layout))
        for i, op in enumerate(ops)
    )
    state = RunState(grid=grid)
    return Anatomy('toy', sites, num_prefix, 1, (), (), (len(ops),), (1,), state=state)


def one_layer(op, *, layout='NHWC', num_prefix=0, grid=(0, 0), **options):
    """A trained-looking layer on ``op`` and the context its hook would give it."""
    anatomy = anatomy_of(op, layout=layout, num_prefix=num_prefix, grid=grid)
    method = ConvLoRA(**options)
    method.build(anatomy)
    for param in method.parameters():
        nn.init.normal_(param, std=0.5)
    return method, method.layers['0_qkv'], Context(anatomy.sites[0], layout, anatomy)


def dense_delta(layer, d):
    """All experts on all rows, then the choice: what the sparse form must equal."""
    chosen, gates, aux = layer.gate(d.mean((2, 3)))
    plain, gates = type(layer.experts).forward.plain, gates if layer.multiply_by_gates else None
    return plain(layer.experts, d, chosen, gates), aux


def dense_forward(layer, x, y):
    """The layer on NHWC maps, densely."""
    d = F.linear(x, layer.lora_A)
    delta, aux = dense_delta(layer, d.permute(0, 3, 1, 2))
    return y + F.linear(layer.scaling * (d + delta.permute(0, 2, 3, 1)), layer.lora_B), aux


@pytest.mark.parametrize(('top_k', 'multiply'), [(1, False), (2, False), (3, True), (4, True)])
def test_sparse_equals_dense_with_gradients(top_k, multiply):
    torch.manual_seed(0)
    method, layer, context = one_layer(
        nn.Linear(6, 12), num_experts=4, top_k=top_k, multiply_by_gates=multiply
    )
    x = torch.randn(7, 5, 6, 6)
    results = []
    for form in ('sparse', 'dense'):
        torch.manual_seed(2)  # the same noise
        y = torch.zeros(7, 5, 6, 12)
        if form == 'sparse':
            out, aux = layer(x, y, context), layer.aux
        else:
            out, aux = dense_forward(layer, x, y)
        method.zero_grad()
        (out.square().mean() + aux).backward()
        results.append((out, aux, [p.grad.clone() for p in method.parameters()]))
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-5)


def test_expert_is_chosen_for_each_row_and_only_those_run(monkeypatch):
    torch.manual_seed(0)
    _, layer, context = one_layer(nn.Linear(6, 6), num_experts=4)
    layer.eval()
    ran = []

    def counted(d, weight, bias, *, scale, mode):
        ran.append((scale, len(d)))
        return d * scale

    monkeypatch.setattr(layer.experts, 'convolve', counted)
    d = torch.randn(9, 3, 4, 5)
    best = (d.mean((2, 3)) @ layer.gate.w_gate).argmax(1)
    delta = layer.expert_delta(d, context)
    assert torch.equal(delta, d * (best + 1.0)[:, None, None, None])
    assert ran == [(i + 1, n) for i, n in enumerate(best.bincount(minlength=4).tolist()) if n]
    assert len({scale for scale, _ in ran}) > 1
    ran.clear()
    layer.expert_delta(d[:1], context)
    assert len(ran) == 1


def test_untrained_gate_takes_the_first_expert_in_eval():
    layer = backbone(num_experts=8).eval().peft.layers['layers_0_attn_qkv']
    chosen, gates, aux = layer.gate(torch.randn(5, 3))
    assert not chosen.any()
    assert torch.equal(gates[:, 0], torch.ones(5))
    assert aux.item() == pytest.approx(16)  # one expert has all rows: CV2 = n, twice


def test_idle_experts_get_zero_gradients():
    model = backbone(num_experts=8)
    loss = model(torch.randn(1, 3, 32, 32)).maps[-1].sum()
    (loss + sum(model.peft.aux_losses().values())).backward()
    for param in model.peft.parameters():
        assert param.grad is not None
    for layer in model.peft.layers.values():
        layer.lora_B.data.fill_(0.1)
    model.zero_grad()
    model(torch.randn(1, 3, 32, 32)).maps[-1].sum().backward()
    for layer in model.peft.layers.values():
        used = layer.experts.weight.grad.flatten(1).any(1)
        assert used.sum() == 1  # a single row


def test_gate_learns_from_the_balance_loss_only():
    model = backbone()
    image = torch.randn(3, 3, 32, 32)
    model(image).maps[-1].sum().backward()
    gates = [layer.gate for layer in model.peft.layers.values()]
    assert all(p.grad is None for gate in gates for p in gate.parameters())
    model(image)
    model.peft.aux_losses()['loss_balance'].backward()
    assert all(p.grad.any() for gate in gates for p in gate.parameters())
    quiet = backbone(noise=False)
    model_loss = quiet(image).maps[-1].sum() + quiet.peft.aux_losses()['loss_balance']
    model_loss.backward()
    for layer in quiet.peft.layers.values():
        assert layer.gate.w_noise is None
        assert not layer.gate.w_gate.grad.any()  # zero, not None


def test_balance_loss_is_the_weighted_sum_over_layers():
    image = torch.randn(1, 3, 32, 32)
    one = backbone(num_experts=8).eval()
    one(image)
    loss = one.peft.aux_losses()['loss_balance']
    assert loss.item() == pytest.approx(3 * 0.16)  # the most one row can give, three layers
    other = backbone(num_experts=8, loss_weight=2.0, loss_coef=0.1).eval()
    other(image)
    assert other.peft.aux_losses()['loss_balance'].item() == pytest.approx(3 * 3.2)
    single = backbone(num_experts=1)
    single(image)
    assert single.peft.aux_losses()['loss_balance'] == 0


def test_balance_loss_is_of_the_last_pass_and_handed_out_once():
    model = backbone()
    assert model.peft.aux_losses() == {}
    image = torch.randn(2, 3, 32, 32)
    model(image)
    first = weakref.ref(model.peft.layers['layers_0_attn_qkv'].aux)
    model(image)
    gc.collect()
    assert first() is None  # the pass before left no graph behind
    model.peft.aux_losses()
    assert model.peft.aux_losses() == {}
    assert all(layer.aux is None for layer in model.peft.layers.values())


def test_activation_checkpointing_draws_the_noise_once_and_keeps_nothing():
    image, results = torch.randn(3, 3, 32, 48), []
    for saving in (False, True):
        model = backbone(activation_checkpointing=saving)
        for layer in model.peft.layers.values():
            layer.lora_B.data.fill_(0.1)
        torch.manual_seed(4)
        maps = model(image).maps
        aux = model.peft.aux_losses()['loss_balance']
        (maps[-1].square().mean() + aux).backward()
        assert model.peft.aux_losses() == {}, 'the second pass left a loss, and its graph, behind'
        assert not model.anatomy.state.recomputing
        results.append((aux, [p.grad for p in model.peft.parameters()]))
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-7)


def test_training_is_noisy_and_eval_is_not():
    model = backbone()
    for layer in model.peft.layers.values():
        layer.lora_B.data.fill_(0.1)
    image = torch.randn(4, 3, 32, 32)
    assert not torch.equal(model(image).maps[-1], model(image).maps[-1])
    model.eval()
    assert torch.equal(model(image).maps[-1], model(image).maps[-1])


def test_prefix_tokens_get_plain_lora():
    torch.manual_seed(0)
    op, x = nn.Linear(6, 9), torch.randn(2, 3 + 20, 6)
    _, layer, context = one_layer(op, layout='NLC', num_prefix=3, grid=(4, 5))
    layer.eval()
    y = layer(x, op(x), context)
    lora = op(x) + layer.scaling * (x @ layer.lora_A.T @ layer.lora_B.T)
    torch.testing.assert_close(y[:, :3], lora[:, :3])
    assert (y[:, 3:] - lora[:, 3:]).abs().max() > 0.1
    _, grid_layer, grid_context = one_layer(op)
    grid_layer.load_state_dict(layer.state_dict())
    patches = x[:, 3:].unflatten(1, (4, 5))
    expected = grid_layer.eval()(patches, op(patches), grid_context)
    torch.testing.assert_close(y[:, 3:].unflatten(1, (4, 5)), expected)


def test_convolution_of_kernel_one_equals_the_linear():
    torch.manual_seed(0)
    op, conv = nn.Linear(6, 9), nn.Conv2d(6, 9, 1)
    conv.load_state_dict({'weight': op.weight[:, :, None, None], 'bias': op.bias})
    x = torch.randn(3, 4, 5, 6)
    _, layer, context = one_layer(op)
    _, other, other_context = one_layer(conv, layout='NCHW')
    other.load_state_dict(layer.state_dict())
    planes = x.permute(0, 3, 1, 2)
    actual = other.eval()(planes, conv(planes), other_context)
    torch.testing.assert_close(actual.permute(0, 2, 3, 1), layer.eval()(x, op(x), context))


def test_strided_downsampling_of_a_resnet():
    model = backbone('resnet', targets=['downsample'])
    for layer in model.peft.layers.values():
        layer.lora_B.data.fill_(0.1)
    model(torch.randn(2, 3, 32, 48)).maps[-1].sum().backward()
    assert all(layer.lora_A.grad.any() for layer in model.peft.layers.values())


def test_parts_of_a_fused_operation_leave_the_rest_alone():
    model = backbone(targets=['q', 'v'])
    layer = next(iter(model.peft.layers.values()))
    assert layer.lora_A.shape == (3, 32)  # one bottleneck
    assert layer.lora_B.shape == (64, 3)
    nn.init.normal_(layer.lora_B)
    site = model.anatomy.find(OpSite, role='qkv')[0]
    context = Context(site, 'NLC', model.anatomy)
    model.anatomy.state.grid = (4, 4)
    delta = layer(torch.randn(2, 17, 32), torch.zeros(2, 17, 96), context)
    assert not delta[..., 32:64].any()
    assert delta[..., :32].any()
    assert delta[..., 64:].any()


def test_published_number_of_parameters():
    """SAM ViT-H: 32 fused qkv of 1280 -> 3840, eight experts."""
    with torch.device('meta'):
        method = ConvLoRA()
        method.build(anatomy_of(*[nn.Linear(1280, 3840) for _ in range(32)]))
    assert sum(p.numel() for p in method.parameters()) == 514_560


def test_initial_values():
    model = backbone(num_experts=16)
    for layer in model.peft.layers.values():
        bound = 1 / 27**0.5  # of a default convolution with 3 channels
        assert 0.95 * bound < layer.experts.weight.abs().max() <= bound
        assert layer.lora_A.abs().max() <= 1 / 32**0.5
        for zero in (layer.lora_B, layer.experts.bias, *layer.gate.parameters()):
            assert not zero.any()


def test_autocast_keeps_gate_and_mix_in_float32():
    _, layer, context = one_layer(nn.Linear(6, 6))
    x = torch.randn(2, 4, 4, 6)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        d = F.linear(x, layer.lora_A)
        assert d.dtype == torch.bfloat16
        assert layer.expert_delta(d.permute(0, 3, 1, 2), context).dtype == torch.float32
        assert layer(x, d.new_zeros(2, 4, 4, 6), context).dtype == torch.bfloat16
    assert layer.aux.dtype == torch.float32


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(rank=0), 'rank=0'),
        (dict(num_experts=0), 'num_experts=0'),
        (dict(top_k=5), 'top_k=5: expected 1 to num_experts=4'),
        (dict(scales=[1, 2]), r'scales=\[1, 2\]: expected num_experts=4'),
        (dict(scales=[1, 2, 3, 0.5]), 'whole numbers'),
        (dict(interpolate='nearest'), "interpolate='nearest': expected bicubic or bilinear"),
        (dict(targets=['conv1']), r"ConvLoRA targets=.*has no \['conv1'\]"),
        (dict(targets=['patch']), "not 'patch_embed.projection' .*leave 'patch' out of targets"),
    ],
)
def test_what_cannot_work_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        backbone(**options)


def test_compile_gives_the_same_output_and_compiles_once():
    model = backbone().eval()
    for param in model.peft.parameters():
        nn.init.normal_(param, std=0.1)
    compiled = torch.compile(model.encoder, backend='aot_eager')
    with torch.no_grad():
        for batch in range(3):
            image = torch.randn(4, 3, 32, 32)
            expected = model.encoder(image)
            with torch._dynamo.config.patch(error_on_recompile=batch > 0):
                torch.testing.assert_close(compiled(image), expected, rtol=1e-5, atol=1e-5)


@pytest.fixture
def process_group():
    dist.init_process_group('gloo', store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize('saving', [False, True])
def test_data_parallel_training_finds_every_parameter_used(process_group, saving):
    class Losses(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = backbone(num_experts=8, activation_checkpointing=saving)

        def forward(self, image):
            loss = self.backbone(image).maps[-1].square().mean()
            return loss + sum(self.backbone.peft.aux_losses().values())

    model = nn.parallel.DistributedDataParallel(Losses())
    for _ in range(2):  # an unused parameter raises in the second step
        model(torch.randn(1, 3, 32, 32)).backward()
