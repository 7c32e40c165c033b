"""A method on somebody's own module: found, frozen, trained, copied, merged, taken off."""

import copy

import pytest
import torch
from torch import nn

import rein_seg
from rein_seg.errors import UserError
from tests.library.modules import build, image, output


def train(module, attached, steps=2):
    optimizer = torch.optim.SGD(attached.trainable_parameters(), lr=0.1)
    module.train()
    for _ in range(steps):
        optimizer.zero_grad()
        result = output(module, image())
        (result * torch.linspace(-1, 1, result.numel()).reshape(result.shape)).sum().backward()
        optimizer.step()
    module.eval()


def test_only_the_method_and_the_named_parts_train():
    model = build('timm ViT')
    attached = rein_seg.attach(model, dict(type='LoRA', rank=2), trainable='head')
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    own = {name for name in trained if name.startswith('rein_seg_peft.method.')}
    assert trained - own == {'head.weight', 'head.bias'}
    assert len(own) == 3 * 2 * 4  # blocks, A and B, operations
    assert attached.trainable_parameters() == [p for p in model.parameters() if p.requires_grad]


def test_names_of_the_modules_own_weights_stay():
    model = build('transformers DINOv2')
    before = list(model.state_dict())
    rein_seg.attach(model, 'Rein')
    after = list(model.state_dict())
    assert [name for name in after if not name.startswith('rein_seg_peft.')] == before
    assert len(after) > len(before)


@pytest.mark.parametrize('name', ['timm ResNet', 'timm ResNet features', 'torchvision ResNet'])
def test_frozen_batch_norms_keep_their_statistics(name):
    model = build(name)
    attached = rein_seg.attach(model, 'LoRA')
    before = {k: v.clone() for k, v in model.state_dict().items() if 'running' in k}
    train(model, attached)
    after = model.state_dict()
    assert before
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_full_trains_the_encoder_in_its_mode():
    model = build('timm ResNet')
    attached = rein_seg.attach(model, 'Full')
    model.train()
    assert model.layer1[0].bn1.training
    train(model, attached)
    with pytest.raises(RuntimeError, match='cannot be restored'):
        attached.detach()


def test_parts_that_train_and_modules_around_follow_train():
    vit = build('timm ViT')
    vit.head_drop = nn.Dropout(0.5)
    outer = nn.Sequential(vit, nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 3)))
    rein_seg.attach(outer, 'LoRA', trainable=['2'])
    assert outer.train() is outer
    assert (outer.training, vit.training, vit.blocks[0].training) == (True, False, False)
    assert (outer[1].training, outer[2][0].training) == (False, True)
    assert vit.rein_seg_peft.method.training
    assert not outer.eval().training


def test_the_encoder_inside_a_module_is_used():
    model = nn.Module()
    model.backbone, model.head = build('transformers ViT'), nn.Linear(32, 3)
    attached = rein_seg.attach(model, 'LoRA', trainable='head')
    assert attached.path == 'backbone'
    assert attached.encoder is model.backbone
    assert {n.partition('.')[0] for n, p in model.named_parameters() if p.requires_grad} == {
        'backbone',
        'head',
    }


@pytest.mark.parametrize('name', ['timm ViT', 'timm ResNet', 'transformers DINOv2'])
def test_a_copy_has_a_method_of_its_own(name):
    model = build(name)
    attached = rein_seg.attach(model, 'LoRA')
    train(model, attached)
    twin = copy.deepcopy(model)
    expected = output(model, image())
    torch.testing.assert_close(output(twin, image()), expected, rtol=0, atol=0)
    with torch.no_grad():
        for param in twin.rein_seg_peft.method.parameters():
            param.zero_()
    assert not torch.equal(output(twin, image()), expected)
    torch.testing.assert_close(output(model, image()), expected, rtol=0, atol=0)
    twin.train()
    assert not twin.training
    assert twin.rein_seg_peft.module is twin
    twin.rein_seg_peft.detach()
    assert 'rein_seg_peft' not in dict(twin.named_modules())
    assert attached.method is model.rein_seg_peft.method


@pytest.mark.parametrize('name', ['timm ViT', 'timm DINOv3', 'torchvision ResNet'])
def test_merge_leaves_a_plain_module(name):
    model = build(name)
    names = list(model.state_dict())
    attached = rein_seg.attach(model, ['LoRA', dict(type='BitFit', targets=['norm'])])
    train(model, attached)
    expected = output(model, image()).detach()
    attached.merge()
    assert list(model.state_dict()) == names
    torch.testing.assert_close(output(model, image()), expected, rtol=1e-4, atol=1e-4)
    assert all(p.requires_grad for p in model.parameters())
    assert model.train() is model and model.training


def test_positions_train_whichever_method_of_a_timm_model_is_called():
    model = build('timm ViT')
    own = model.pos_embed
    attached = rein_seg.attach(model, dict(type='BitFit', targets=['pos', 'token']))
    model.forward_features(image()).sum().backward()
    assert all(p.grad is not None for p in attached.trainable_parameters())
    assert model.pos_embed is own


def test_a_pass_that_fails_leaves_nothing_behind():
    model = build('timm ViT')
    rein_seg.attach(model, [dict(type='VPT', num_tokens=3), dict(type='BitFit', targets=['pos'])])
    expected, own = output(model, image()), model.pos_embed
    handle = model.blocks[1].mlp.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model(image())
    handle.remove()
    torch.testing.assert_close(output(model, image()), expected, rtol=0, atol=0)
    assert model.pos_embed is own


def test_prompts_with_rotary_positions_and_checkpointing_have_the_same_gradients():
    gradients = []
    for saving in (False, True):
        model = build('timm DINOv3')
        torch.manual_seed(2)
        attached = rein_seg.attach(
            model, ['VPT', dict(type='Mona', hidden_dims=4)], activation_checkpointing=saving
        )
        output(model.train() or model, image()).square().sum().backward()
        gradients.append([p.grad.clone() for p in attached.trainable_parameters()])
        attached.detach()
        assert '_call_impl' not in vars(model.blocks[0])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', ['timm ViT', 'timm ResNet'])
def test_compile_gives_the_same_output(name):
    model = build(name)
    train(model, rein_seg.attach(model, 'LoRA'))
    with torch.no_grad():
        expected = model(image())
        compiled = torch.compile(model, backend='aot_eager', dynamic=False)
        torch.testing.assert_close(compiled(image()), expected, rtol=1e-5, atol=1e-5)


def test_a_method_follows_the_type_of_the_weights():
    model = build('timm ViT').to(torch.bfloat16)
    attached = rein_seg.attach(model, 'LoRA')
    assert {p.dtype for p in attached.trainable_parameters()} == {torch.bfloat16}
    assert model(image().bfloat16()).isfinite().all()


@pytest.mark.parametrize('method', ['LoRA', 'VeRA', 'SoMA', 'SVF', 'KaSA', 'Rein', 'VPT', 'SSF'])
def test_a_method_is_made_where_the_weights_are(method):
    model = build('timm ViT').to('meta')  # mixing it with the CPU is an error, as with a GPU
    rein_seg.attach(model, method)
    assert {t.device.type for t in [*model.parameters(), *model.buffers()]} == {'meta'}
    assert model(image().to('meta')).shape == (2, 3)


def test_losses_of_methods_that_have_some():
    model = build('timm ViT')
    attached = rein_seg.attach(model, dict(type='SPM', num_classes=4))
    labels = torch.zeros(2, 32, 32, dtype=torch.long)
    model.train()
    model(image())
    assert list(attached.losses(labels)) == ['loss_interim']
    assert attached.losses() == {}


class Unknown(nn.Module):
    def forward(self, x):
        return x


def two_encoders():
    return nn.ModuleDict({'student': build('timm ViT'), 'teacher': build('timm ViT')})


@pytest.mark.parametrize(
    ('module', 'peft', 'options', 'words'),
    [
        (Unknown, 'LoRA', {}, ('tests.Unknown', 'timm (Beit, ConvNeXt, Eva', 'your-encoder.md')),
        (two_encoders, 'LoRA', {}, ('2 encoders', "'student'", "'teacher'", 'module.student')),
        (lambda: 'vit_small', 'LoRA', {}, ('module is a str', 'torch.nn.Module')),
        (lambda: build('timm ViT'), 'Lora', {}, ("'Lora'", "'LoRA'")),
        (lambda: build('timm ViT'), 3, {}, ('peft=3', 'name of a method')),
        (lambda: build('timm ViT'), 'LoRA', {'trainable': 'haed'}, ("'haed'", "'head'")),
        (lambda: build('timm ResNet'), 'VPT', {}, ('VPT inserts tokens', 'resnet')),
        (
            lambda: build('timm ViT'),
            dict(type='BitFit', targets=['norm']),
            {'trainable': 'blocks.0.norm1'},
            ('blocks.0.norm1.weight', 'one of them'),
        ),
        (
            lambda: build('torchvision ViT'),
            dict(type='LoRA', targets=['q']),
            {},
            ("no ['q']", 'fc1'),
        ),
    ],
)
def test_errors_name_the_way_out_and_leave_the_module(module, peft, options, words):
    module = module()
    before = state_of(module)
    with pytest.raises(UserError) as error:
        rein_seg.attach(module, peft, **options)
    assert all(word in str(error.value) for word in words), error.value
    assert '\n' not in str(error.value)
    assert state_of(module) == before


def state_of(module):
    if not isinstance(module, nn.Module):
        return module
    hooks = sum(
        len(part._forward_hooks) + len(part._forward_pre_hooks)
        for part in module.modules()
        if not isinstance(part, nn.BatchNorm2d)  # a guard of its gradient may stay
    )
    flags = [(name, p.requires_grad) for name, p in module.named_parameters()]
    return hooks, flags, [part.training for part in module.modules()]


def test_a_subclass_is_told_apart_and_own_checkpointing_is_refused():
    class Derived(type(build('timm ViT'))):
        pass

    model = build('timm ViT')
    model.__class__ = Derived
    with pytest.raises(UserError, match=r'derives from timm.VisionTransformer'):
        rein_seg.attach(model, 'LoRA')
    model = build('timm ViT')
    model.set_grad_checkpointing(True)
    with pytest.raises(UserError, match='grad_checkpointing=True: switch it off'):
        rein_seg.attach(model, 'LoRA')
    model.set_grad_checkpointing(False)
    rein_seg.attach(model, 'LoRA')
    with pytest.raises(UserError, match='has a method already: detach'):
        rein_seg.attach(model, 'LoRA')


def test_queries_are_made_on_request_only():
    model = build('timm ViT')
    attached = rein_seg.attach(model, dict(type='Rein', num_tokens=4))
    assert attached.method.queries() is None
    attached.detach()
    linked = dict(type='Rein', num_tokens=4, link_to_queries=True, query_dims=8)
    assert rein_seg.attach(model, linked).method.queries().shape == (4, 8)


def test_parameters_are_counted_and_printed(capsys):
    module = nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 2))
    rein_seg.print_trainable_parameters(module)
    assert capsys.readouterr().out == (
        'trainable params: 6 || all params: 12 || trainable%: 50.0000\n'
    )


def test_hooks_that_were_there_see_the_method():
    """As transformers reads hidden states, and as users read features."""
    model, seen = build('timm ViT'), []
    model.blocks[2].register_forward_hook(lambda *args: seen.append(args[-1].detach()))
    model(image())
    train(model, rein_seg.attach(model, 'Rein'), steps=2)
    model(image())
    later = []
    model.norm.register_forward_pre_hook(lambda module, args: later.append(args[0].detach()))
    model(image())
    torch.testing.assert_close(seen[-1], later[-1], rtol=0, atol=0)
    assert not torch.equal(seen[-1], seen[0])


def test_prompts_leave_the_attention_as_it_was():
    model = build('timm DINOv3')
    expected = model(image())
    attached = rein_seg.attach(model, 'VPT')
    model(image())
    attached.detach()
    torch.testing.assert_close(model(image()), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda model: nn.DataParallel(model), 'inside DataParallel.*attach first'),
        (
            lambda model: [setattr(model, 'patch_embed', nn.Identity()), model][1],
            'other parts than',
        ),
        (
            lambda model: rein_seg.build_backbone(
                dict(type='TinyViT', init_seed=0), dict(type='LoRA', rank=2)
            ),
            'has a method already',
        ),
    ],
)
def test_modules_that_cannot_be_taken(change, words):
    with pytest.raises(UserError, match=words):
        rein_seg.attach(change(build('timm ViT')), 'LoRA')


def test_batch_norms_keep_their_statistics_in_a_users_own_loop():
    model = build('timm ResNet')
    attached = rein_seg.attach(model, dict(type='Full', norm_eval=True))
    before = {name: b.clone() for name, b in model.named_buffers() if 'running_' in name}
    train(model, attached)
    assert before and all(torch.equal(model.get_buffer(n), b) for n, b in before.items())
    assert model.train().training and not model.bn1.training
