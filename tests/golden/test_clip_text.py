"""CLIP's tokens and text tower, prompts, tables, and whole files of OpenAI's layout."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rein_seg.text import CLIPTokenizer, SharedContext, TextSource
from rein_seg.text.files import read_tower
from rein_seg.text.rows import mean_rows
from tests.golden.collect import assert_gradient, cases
from tests.golden.vocabulary import with_all_rows


def tower_of(case, heads=None):
    """The text tower of a case; heads where they are not width / 64."""
    state = with_all_rows(case.tensors('weight'), case.tensor('input.vocabulary_ids'))
    return read_tower(state, source=case.path.name, heads=heads)[0]


def near(actual, case, name):
    limit = case.meta['tolerance']['output_max_abs'][name]
    assert (actual - case.tensor(f'output.{name}')).abs().max() <= limit, name


@pytest.mark.parametrize('case', cases('clip_text', 'tokens'))
def test_tokens(case):
    config, tokenizer = case.meta['config'], CLIPTokenizer()
    texts, fits, short = config['strings'], config['strings_that_fit'], config['short_length']
    ids = tokenizer.encode(texts, case.tensor('output.tokens').shape[1])
    near(ids, case, 'tokens')
    near(ids.argmax(1), case, 'eot_position')
    near(tokenizer.encode(fits, short), case, 'tokens_short')
    near(tokenizer.encode(texts, short, truncate=True), case, 'tokens_truncated')
    for text in set(texts) - set(fits):
        with pytest.raises(ValueError, match=f'expected at most {short}'):
            tokenizer.encode([text], short)


@pytest.mark.parametrize('case', cases('clip_text', ''))
def test_ids_to_embeddings(case):
    """Cases of a text tower alone, and of a whole file."""
    config, ids = case.meta['config'], case.tensor('input.tokens')
    if 'template' in config:
        texts = [config['template'].format(name) for name in config['names']]
        torch.testing.assert_close(CLIPTokenizer().encode(texts, ids.shape[1]), ids)
    tower = tower_of(case, config.get('heads'))
    assert tower.width == config.get('text_width', config.get('width'))
    seen = {}
    for name, index in (('first_block', 0), ('last_block', -1)):
        block = tower.transformer.resblocks[index]
        block.register_forward_hook(lambda *args, name=name: seen.update({name: args[-1]}))
    embeddings = tower.token_embedding(ids).detach().requires_grad_()
    text = tower.encode_embeddings(embeddings, ids.argmax(1))
    near(text, case, 'text')
    near(tower.encode_tokens(ids), case, 'text')
    for name, expected in case.tensors('output_extra').items():
        error = (seen[name][:, : expected.shape[1]] - expected).abs().max()
        assert error <= 3e-5 * expected.abs().max().clamp(min=1), name
    for name, expected in case.tensors('grad').items():
        (case.tensor('cotangent.text') * text).sum().backward()
        assert_gradient(embeddings.grad[:, : expected.shape[1]], expected, name)
    if 'image' in case.tensors('output'):
        images = F.normalize(case.tensor('output.image'))
        scale = case.tensor('weight.logit_scale').exp()
        near(scale * images @ F.normalize(text).T, case, 'logits_per_image')
        heads = tower.transformer.resblocks[0].attn.num_heads
        assert (heads, tower.dims) == (config['text_heads'], config['embed'])
        assert torch.float16 in {x.dtype for x in case.tensors('weight').values()}
        assert {x.dtype for x in tower.parameters()} == {torch.float32}


@pytest.mark.parametrize('case', cases('clip_text', 'embeddings_shared_context'))
def test_shared_context(case, monkeypatch):
    config, contexts = case.meta['config'], case.tensor('input.contexts')
    source = TextSource(tower_of(case, config['heads']).eval(), CLIPTokenizer(), '')
    monkeypatch.setattr('rein_seg.text.learned.build_source', lambda *args: source)
    prompt = SharedContext(
        config['names'],
        num_context=config['contexts'],
        token_length=config['token_length'],
        tasks=[str(index) for index in range(len(contexts))],  # officially, one for each image
    )
    prompt.contexts = nn.Parameter(contexts)
    each = []
    for task in prompt.tasks:
        prompt.set_task(task)
        each.append(prompt())
    text = torch.stack(each)
    near(text, case, 'text')
    (case.tensor('cotangent.text') * text).sum().backward()
    assert_gradient(prompt.contexts.grad, case.tensor('grad.input.contexts'), 'contexts')


@pytest.mark.parametrize('case', cases('clip_text', 'templates'))
def test_templates(case):
    config, tokenizer = case.meta['config'], CLIPTokenizer()
    source = TextSource(tower_of(case, config['heads']).eval(), tokenizer, '')
    texts = [[t.format(name) for t in config['templates']] for name in config['names']]
    for name, ids in zip(texts, case.tensor('input.tokens').transpose(0, 1), strict=True):
        torch.testing.assert_close(tokenizer.encode(name, ids.shape[1]), ids)
    near(mean_rows(source, texts, False), case, 'text')
