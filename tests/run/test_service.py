"""Adapters in service: equal to models loaded by themselves, switched, refused, from threads."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from rein_seg.apis import AdapterService, init_model, predict
from rein_seg.checkpoint import save_adapter
from rein_seg.errors import UserError
from rein_seg.run.results import adapter_metadata
from tests.encoders.tiny import ENCODERS
from tests.peft.build import move

TABLE = dict(type='ClassTable', classes=['road', 'sky', 'car', 'tree', 'sign'])
HEADS = [dict(type='LinearHead'), dict(type='FCNHead', channels=8, num_convs=1, in_index=0)]
METHODS = {
    'rein': dict(type='Rein', num_tokens=5, rank=4, query_dims=8),
    'lora': dict(type='LoRA', rank=4),
    'dora': dict(type='DoRA', rank=4),
    'conv_lora': dict(type='ConvLoRA', num_experts=3),
    'vera': dict(type='VeRA', rank=8),
    'pego': dict(type='PEGO', rank=2, groups=3),
    'soma': dict(type='SoMA', rank=4),
    'svf': dict(type='SVF', targets=['qkv', 'fc2']),
    'ssf': dict(type='SSF'),
    'bitfit': dict(type='BitFit', targets=['bias', 'norm', 'pos', 'token']),
    'frozen': dict(type='Frozen'),
}


def config(peft, *, family='vit', classes=5, head=None, **encoder):
    head = head or (HEADS[0] if peft['type'] == 'Rein' else HEADS[classes % 2])
    model = dict(
        type='PEFTSegmentor',
        backbone=dict(
            type='PEFTBackbone', encoder={**ENCODERS[family], **encoder}, peft=peft,
            activation_checkpointing=True),
        decode_head=head,
        num_classes=classes,
    )  # fmt: skip
    data = dict(dataset=dict(type='MiniScapesDataset', pipeline=[]))
    cfg = dict(default_scope='mmseg', model=model, test_dataloader=data, benchmark=dict(name='b'))
    return Config(cfg)


def saved(cfg, path, seed):
    torch.manual_seed(seed)
    model = MODELS.build(cfg.model)
    move(model.backbone)
    save_adapter(path, model, adapter_metadata(cfg, model, scores={}, config=''))
    return str(path)


def hooks_in(encoder):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in encoder.modules())


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (32, 48, 3), dtype=np.uint8)


@torch.no_grad()
def logits(model):
    image = torch.randn(1, 3, 32, 48, generator=torch.Generator().manual_seed(2))
    return model.encode_decode(image, [dict(img_shape=(32, 48))])


@pytest.fixture(scope='module', params=['vit', 'swin'])
def served(request, tmp_path_factory):
    """A service with every method, the logits of each loaded by itself, and its picture."""
    init_default_scope('mmseg')
    folder = tmp_path_factory.mktemp('adapters')
    service, alone = AdapterService(device='cpu'), {}
    for seed, (name, peft) in enumerate(METHODS.items()):
        if request.param == 'swin' and name == 'bitfit':
            peft = dict(type='BitFit')
        cfg = config(peft, family=request.param, classes=4 + seed)
        weights = saved(cfg, folder / f'{name}.safetensors', seed)
        service.add(name, cfg, weights)
        model = init_model(cfg, weights, device='cpu')
        alone[name] = (logits(model), predict(model, picture()))
    return service, alone


def test_each_adapter_computes_what_it_does_alone(served):
    service, alone = served
    assert service.adapters == tuple(METHODS)
    for name in [*METHODS, *reversed(METHODS), 'svf', 'rein', 'bitfit', 'frozen', 'soma']:
        assert torch.equal(logits(service.model(name)), alone[name][0]), name
        assert service.active == name
        assert np.array_equal(service.predict(picture(), adapter=name), alone[name][1])


def test_one_encoder_in_memory(served):
    service, _ = served
    encoders = {id(service.model(name).backbone.encoder) for name in service.adapters}
    assert len(encoders) == 1
    last = service.model('frozen').backbone.encoder
    assert not any(len(module._forward_pre_hooks) for module in last.modules())


@pytest.mark.parametrize(
    ('family', 'head', 'text'),
    [
        ('clip_joint', dict(type='ATMHead', num_heads=2), {'model.text': TABLE}),
        ('vit', dict(type='RepSepHead', channels=8, num_heads=2), {}),
        ('vit_tiny', dict(type='EoMTHead', num_queries=5, num_blocks=2), {}),
    ],
)
def test_a_removed_adapter_leaves_nothing_in_the_encoder(family, head, text):
    """Heads may read the joint or the patch embedding, or have queries inside the encoder."""
    service, both = AdapterService(device='cpu'), {}
    for name in ('frozen', 'lora'):
        both[name] = config(METHODS[name], family=family, head=head)
        both[name].merge_from_dict(text)
    service.add('frozen', both['frozen'])
    encoder = service.model('frozen').backbone.encoder
    alone = hooks_in(encoder)
    service.add('lora', both['lora'])
    expected = service.predict(picture(), adapter='lora')
    assert hooks_in(encoder) > alone
    service.switch('frozen')
    assert hooks_in(encoder) == alone
    assert np.array_equal(service.predict(picture(), adapter='lora'), expected)
    removed = weakref.ref(service.model('lora'))
    service.remove('lora')
    gc.collect()
    assert removed() is None
    assert hooks_in(encoder) <= alone


def test_switching_takes_milliseconds(served):
    service, _ = served
    start = time.perf_counter()
    for name in METHODS:
        service.switch(name)
    assert (time.perf_counter() - start) / len(METHODS) < 0.1


def test_threads_get_the_results_of_their_own_adapter(served):
    service, alone = served
    wrong = []

    def work(name):
        for _ in range(3):
            if not np.array_equal(service.predict(picture(), adapter=name), alone[name][1]):
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in ('rein', 'lora', 'ssf')]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_refusals_leave_the_service_as_it_was(served, tmp_path):
    service, alone = served
    family = 'swin' if 'Swin' in type(service.model('lora').backbone.encoder).__name__ else 'vit'
    other = saved(config(METHODS['lora'], family='sam'), tmp_path / 'a.safetensors', 0)
    lora = config(METHODS['lora'], family=family)
    with pytest.raises(UserError, match="'lora' is there already"):
        service.add('lora', lora)
    with pytest.raises(UserError, match='made for another encoder'):
        service.add('new', lora, other)
    with pytest.raises(UserError, match="Full trains .* of the encoder's .* encoder of its own"):
        service.add('new', config(dict(type='Full'), family=family))
    with pytest.raises(UserError, match='out_indices'):
        service.add('new', config(METHODS['lora'], family=family, out_indices=[1]))
    with pytest.raises(UserError, match="is not the shared one.* weights='init_seed=7'"):
        service.add('new', config(METHODS['lora'], family=family, init_seed=7))
    with pytest.raises(UserError, match='makes queries'):
        service.add('new', config(METHODS['rein'], family=family, head=HEADS[1]))
    with pytest.raises(UserError, match="no adapter 'lor'; did you mean 'lora'"):
        service.switch('lor')
    assert service.adapters == tuple(METHODS)
    for name in ('frozen', 'lora'):
        assert torch.equal(logits(service.model(name)), alone[name][0])
    assert not any(p.requires_grad for p in service.model('lora').backbone.encoder.parameters())


def test_an_encoder_of_bands_is_refused():
    with pytest.raises(UserError, match=r"'land' takes 5 bands .*load it with rein_seg.load"):
        AdapterService(device='cpu').add('land', 'frozen_tiny_minibands')


def test_full_first_is_refused_too():
    service = AdapterService(device='cpu')
    with pytest.raises(UserError, match='encoder of its own'):
        service.add('full', config(dict(type='Full')))
    with pytest.raises(UserError, match='no adapter is chosen'):
        service.predict(picture())


def test_removed_adapters_leave_nothing_behind(tmp_path):
    service = AdapterService(device='cpu')
    service.add('a', config(METHODS['lora']))
    service.add('b', config(METHODS['frozen']))
    service.switch('a')
    service.remove('a')
    assert (service.adapters, service.active) == (('b',), None)
    assert torch.equal(
        service.model('b').backbone(torch.ones(1, 3, 32, 32)).maps[0],
        MODELS.build(config(METHODS['frozen']).model).backbone(torch.ones(1, 3, 32, 32)).maps[0],
    )


def test_the_same_weights_in_another_file_are_the_same_encoder(tmp_path):
    cfg = config(METHODS['lora'])
    encoder = MODELS.build(cfg.model).backbone.encoder
    paths = []
    for name in 'ab':
        torch.save(encoder.state_dict(), tmp_path / f'{name}.pth')
        paths.append(str(tmp_path / f'{name}.pth'))
    service = AdapterService(device='cpu')
    for name, path in zip('ab', paths, strict=True):
        service.add(name, config(METHODS['lora'], init_seed=None, checkpoint=path))
    torch.save({k: v + 1 for k, v in encoder.state_dict().items()}, paths[1])
    with pytest.raises(UserError, match='weights='):
        service.add('c', config(METHODS['lora'], init_seed=None, checkpoint=paths[1]))


def test_an_image_of_any_size():
    service = AdapterService(device='cpu')
    service.add('rein', config(METHODS['rein']))
    for size in ((33, 17), (1, 1)):
        image = np.zeros((*size, 3), np.uint8)
        assert service.predict(image, adapter='rein').shape == size


def test_models_that_read_names_share_an_encoder_and_keep_their_classes(tmp_path):
    text = dict(type='ClassTable', classes=['road', 'sky', 'tram'])
    cfgs = {
        name: config(peft, family='tiny_clip', head=dict(type='ATMHead', num_heads=2))
        for name, peft in (('lora', METHODS['lora']), ('frozen', METHODS['frozen']))
    }
    for cfg, classes in zip(
        cfgs.values(), (['road', 'sky', 'tram'], ['pond', 'road']), strict=True
    ):
        cfg.model.text, cfg.model.num_classes = {**text, 'classes': classes}, len(classes)
    service, alone = AdapterService(device='cpu'), {}
    for name, cfg in cfgs.items():
        weights = saved(cfg, tmp_path / f'{name}.safetensors', seed=1)
        alone[name] = predict(init_model(cfg, weights, device='cpu'), picture())
        service.add(name, cfg, weights)
    for name in ('lora', 'frozen', 'lora'):
        assert np.array_equal(service.predict(picture(), adapter=name), alone[name])
    service.model('frozen').set_classes(['tram', 'road', 'sky'])
    assert service.predict(picture(), adapter='frozen').max() < 3
    assert service.model('lora').text.classes == ('road', 'sky', 'tram')
