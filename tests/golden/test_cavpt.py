"""Dual-modality prompts against their official code: text, image tower, whole model with losses."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.models.backbone import PEFTBackbone
from rein_seg.peft.methods.cavpt import from_official
from rein_seg.text import CLIPTokenizer, CoOp, TextSource
from rein_seg.text.files import read_tower
from tests.golden.collect import assert_gradient, cases
from tests.golden.vocabulary import with_all_rows

PLACE = 'image_encoder.transformer.'


def below(weights, *prefixes):
    """Returns tensors below the first prefix that any has, without it."""
    prefix = next(p for p in prefixes if any(name.startswith(p) for name in weights))
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def near(case, found):
    """Compares outputs within the case's own tolerance."""
    for name, expected in case.tensors('output').items():
        limit = case.meta['tolerance']['output_max_abs'][name]
        error = (found[name].double().reshape(expected.shape) - expected.double()).abs().max()
        assert error <= limit, f'{name}: {error} of {limit}'


def use_tower(case, monkeypatch):
    """Has learned prompts read the text tower of a case."""
    weights = with_all_rows(case.tensors('weight'), case.tensor('input.vocabulary_ids'))
    state = below(weights, 'text_encoder.')
    state['token_embedding.weight'] = weights['token_embedding.weight']
    tower, _ = read_tower(state, source=case.path.name, heads=case.meta['config']['theads'])
    source = TextSource(tower.eval().requires_grad_(False), CLIPTokenizer(), '')
    monkeypatch.setattr('rein_seg.text.learned.build_source', lambda *args: source)


@pytest.mark.parametrize('case', cases('cavpt', 'text_prompts'))
def test_text_prompts(case, monkeypatch):
    use_tower(case, monkeypatch)
    config = case.meta['config']
    prompt = CoOp(
        config['names'],
        num_context=config['n_ctx'],
        position=config['class_token_position'],
        per_class=config['class_specific_context'],
    )
    prompt.ctx.data.copy_(case.tensor('weight.prompt_learner.ctx'))
    weights, tokens = case.tensors('weight'), prompt.tower.token_embedding(prompt.sequences[:, :1])
    assert torch.equal(tokens, weights['prompt_learner.token_prefix'])
    text = prompt()
    near(case, {'text': text})
    (case.tensor('cotangent.text') * text).sum().backward()
    assert_gradient(prompt.ctx.grad, case.tensor('grad.prompt_learner.ctx'), 'ctx')


def encoder_config(config, weights, folder):
    """Our image tower of a case, with its file."""
    tower = below(weights, 'zeroshot_clip_image_encoder.', 'image_encoder.')
    prompts = ('ctx_learner.', 'extractor.')
    tower = {
        k: v for k, v in tower.items() if not k.removeprefix('transformer.').startswith(prompts)
    }
    if 'proj.proj' in tower:
        tower['proj'] = tower.pop('proj.proj')
    torch.save(tower, folder / 'tower.pth')
    return dict(
        type='CLIPViT',
        arch=dict(
            embed_dims=config['vwidth'],
            num_layers=config['vlayers'],
            num_heads=config['vheads'],
            feedforward_channels=len(tower['transformer.resblocks.0.mlp.c_fc.weight']),
        ),
        img_size=config['res'],
        patch_size=config['patch'],
        joint_dims=config['embed'],
        class_embedding_twice=False,
        checkpoint=str(folder / 'tower.pth'),
    )


def method_config(config, weights, **options):
    vectors = weights[f'{PLACE}extractor.ctx']
    return dict(
        type='CAVPT',
        num_static=config['static'],
        num_selected=config['selected'],
        aware_blocks=config['vlayers'] - config['bottom'] + 1,
        num_learned=vectors.shape[1],
        attention_dims=len(weights[f'{PLACE}extractor.attns.0.qmlp.weight']),
        loss_weight=config['alpha'],
        **options,
    )


def watch(method):
    """Notes prompts and auxiliary logits of each block with class-aware prompts."""
    seen, extractor = {}, method.extractor
    for kind, modules in (('prompts', extractor.lns2), ('layer_logits', extractor.classfiers)):
        for row, module in enumerate(modules):
            module.register_forward_hook(lambda m, x, y, n=f'{kind}{row}': seen.__setitem__(n, y))
    return seen


def check_gradients(case, params, start=''):
    """Compares the gradients below ``start`` with those of ``params``, by official name."""
    for name, expected in case.tensors('grad').items():
        if name.startswith(start):
            assert_gradient(params[name.removeprefix(start)].grad, expected, name)


@pytest.mark.parametrize('case', cases('cavpt', 'image_encoder'))
def test_image_encoder(case, tmp_path, monkeypatch):
    config, weights = case.meta['config'], case.tensors('weight')
    peft = method_config(config, weights, num_classes=config['classes'])
    backbone = PEFTBackbone(encoder_config(config, weights, tmp_path), peft)
    method = backbone.peft
    method.load_state_dict(from_official(weights), strict=True)
    given = {name: x.requires_grad_() for name, x in case.tensors('input').items()}
    # the case begins behind the selection
    monkeypatch.setattr(method, 'selected_text', lambda first: given['text'])
    seen = watch(method)
    anything = torch.zeros(config['classes'], config['embed'])
    seen['image_features'] = backbone(given['image'], anything, anything).joint[0]
    near(case, seen)
    for name, expected in case.tensors('output_extra').items():
        torch.testing.assert_close(seen[name], expected, atol=1e-4, rtol=1e-4)
    sum((seen[name] * x).sum() for name, x in case.tensors('cotangent').items()).backward()
    params = {f'{PLACE}{name}': param for name, param in method.named_parameters()}
    check_gradients(case, {**params, **{f'input.{name}': x for name, x in given.items()}})


@pytest.mark.parametrize('part', ['loss_first', 'loss_second'])
@pytest.mark.parametrize('case', cases('cavpt', 'model'))
def test_model(case, part, tmp_path, monkeypatch):
    use_tower(case, monkeypatch)
    config, weights, given = case.meta['config'], case.tensors('weight'), case.tensors('input')
    model = MODELS.build(
        dict(
            type='PEFTImageModel',
            num_classes=len(config['names']),
            backbone=dict(
                type='PEFTBackbone',
                encoder=encoder_config(config, weights, tmp_path),
                peft=method_config(config, weights),
            ),
            text=dict(
                type='CoOp',
                classes=config['names'],
                num_context=config['n_ctx'],
                fixed_template=config['template'],
                tower=dict(init_seed=0),  # replaced above
            ),
            head=dict(
                type='CAVPTHead',
                scale=weights['logit_scale'].exp().item(),
                guidance_weight=config['guidance_weight'],
            ),
        )
    )
    method, text, head = model.backbone.peft, model.text, model.head
    method.load_state_dict(from_official(weights), strict=True)
    text.ctx.data.copy_(weights['prompt_learner.ctx'])
    torch.testing.assert_close(text.fixed(), weights['text_features'], atol=1e-5, rtol=1e-5)
    seen = watch(method)
    logits = head(model.encode(given['image']))
    names = dict(tuned='logits', plain_image='logits_plain_image', fixed_text='logits_hand_text')
    found = {names[name]: value for name, value in logits._asdict().items()}
    auxiliary = sum(method.image_losses(given['labels']).values())
    for name in ('loss_first', 'loss_second'):
        losses = head.losses(logits, given['labels'], guided=name == 'loss_first')
        found[name] = sum(losses.values()) + auxiliary
    near(case, {**found, **seen, 'selected': method._selected})
    found[part].backward()
    params = {f'{PLACE}{name}': param for name, param in method.named_parameters()}
    check_gradients(case, {**params, 'prompt_learner.ctx': text.ctx}, f'{part}.')
