"""Tuners of the peft library: what they compute, where they go, what is refused."""

import importlib

import pytest
import torch
import torch.nn.functional as F

from rein_seg.errors import UserError
from rein_seg.peft.methods import hf_peft
from rein_seg.registry import describe_method
from tests.peft.build import backbone, image, move

library = pytest.mark.skipif(
    importlib.util.find_spec('peft') is None, reason='the peft package is not installed'
)


def build(family='vit', *, blocks=None, **config):
    return backbone(family, type='HFPeft', config=config, blocks=blocks)


def names(model):
    """Modules that the library works on."""
    return {name.split('.ia3_l')[0] for name, _ in model.peft.model.named_parameters()}


@library
def test_ia3_scales_outputs_and_the_input_of_the_second_linear():
    model = build(peft_type='IA3', target_modules=['qkv', 'fc2'], blocks=[1]).eval()
    assert names(model) == {'layers.1.attn.qkv', 'layers.1.ffn.layers.1'}
    move(model)
    seen = {}
    for key, name in (('qkv', 'attn.qkv'), ('fc2', 'ffn.layers.1')):
        op = model.encoder.layers[1].get_submodule(name)
        op.register_forward_hook(lambda _, args, out, key=key: seen.update({key: (args[0], out)}))
    with torch.no_grad():
        model(image())
    scales = {name.split('.ia3_l')[0]: p for name, p in model.peft.model.named_parameters()}
    x, y = seen['qkv']
    block = model.encoder.layers[1]
    scale = scales['layers.1.attn.qkv'].flatten()
    plain = F.linear(x, block.attn.qkv.weight, block.attn.qkv.bias)
    torch.testing.assert_close(y, plain * scale)
    x, y = seen['fc2']
    scale, op = scales['layers.1.ffn.layers.1'].flatten(), block.ffn.layers[1]
    torch.testing.assert_close(y, F.linear(x * scale, op.weight, op.bias))


@library
def test_loras_of_the_library_and_ours_compute_the_same():
    theirs = build(peft_type='LORA', r=4, lora_alpha=8, target_modules=['proj', 'fc1']).eval()
    ours = backbone(type='LoRA', targets=['proj', 'fc1'], rank=4, alpha=8).eval()
    move(theirs)
    with torch.no_grad():
        for key, layer in ours.peft.layers.items():
            name = next(n for n, _ in theirs.encoder.named_modules() if n.replace('.', '_') == key)
            other = theirs.peft.model.get_submodule(name)
            layer.lora_A.copy_(other.lora_A['default'].weight)
            layer.lora_B.copy_(other.lora_B['default'].weight)
        for x, y in zip(theirs(image()).maps, ours(image()).maps, strict=True):
            torch.testing.assert_close(x, y)


@library
def test_the_operation_does_not_run_twice_for_an_output_that_is_there(monkeypatch):
    model, calls = build(peft_type='LORA', r=2), []
    monkeypatch.setattr(hf_peft.StandingLinear, '_compute', lambda *_: calls.append(1))
    model(image())
    assert calls == []


@library
@pytest.mark.parametrize(
    ('targets', 'expected'),
    [
        (['fc1'], {'layers.0.ffn.layers.0.0', 'layers.1.ffn.layers.0.0'}),
        (['attn.proj'], {'layers.0.attn.proj', 'layers.1.attn.proj'}),
        (r'layers\.[12]\.attn\.qkv', {'layers.1.attn.qkv'}),
    ],
    ids=['role', 'ending', 'pattern'],
)
def test_targets(targets, expected):
    model = build(peft_type='IA3', target_modules=targets, blocks=[0, -2])
    assert names(model) == expected


@library
def test_encoder_is_left_alone_and_the_state_is_the_tuners():
    model = build(peft_type='OFT', oft_block_size=8, target_modules=['proj'])
    assert set(model.state_dict()) == {
        f'peft.model.layers.{i}.attn.proj.oft_R.default.weight' for i in range(3)
    }
    assert not any('base_layer' in name for name, _ in model.named_parameters())
    plain = backbone(type='Frozen').encoder.state_dict()
    assert all(torch.equal(t, plain[n]) for n, t in model.encoder.state_dict().items())


@library
@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(peft_type='IA4'), "peft_type='IA4': the installed library has no .*'IA3'"),
        (dict(r=4), "expected dict.peft_type='IA3'"),
        (dict(peft_type='LORA', rank=4), "LORA takes no 'rank'"),
        (dict(peft_type='PROMPT_TUNING'), 'does not change single linears'),
        (dict(peft_type='VERA'), 'the peft library refuses: .*shared state'),
        (dict(peft_type='LN_TUNING'), 'trains nothing on linears|refuses'),
        (dict(peft_type='LORA', bias='all'), "config.bias='all' would train tensors of the enc"),
        (dict(peft_type='LORA', target_modules=['nothing']), r"refuses: .*roles of this .*'fc1'"),
        (dict(peft_type='LORA', r=2, init_lora_weights='pissa'), 'changes the pretrained weights'),
        (dict(peft_type='MISS', r=64), 'the peft library refuses: .*r. .64. must be less'),
    ],
)
def test_refusals(config, message):
    with pytest.raises(UserError, match=message):
        build(**config)


@library
def test_tuners_that_the_library_cannot_merge_say_so():
    model = build(peft_type='LILY', r=4)
    with pytest.raises(NotImplementedError, match='HFPeft LILY cannot be merged'):
        model.peft.merge()


@library
def test_config_of_an_adapter_is_plain():
    cfg = dict(type='HFPeft', config=dict(peft_type='ia3'))
    assert describe_method(cfg) == {**cfg, 'blocks': None}
    assert backbone(**cfg).peft.config == dict(peft_type='IA3')


def test_missing_library_names_the_extra(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(f'No module named {name!r}')

    monkeypatch.setattr(hf_peft.importlib, 'import_module', absent)
    with pytest.raises(UserError, match=r"needs the peft library.*pip install 'rein-seg\[peft\]'"):
        build(peft_type='IA3')
