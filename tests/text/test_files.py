"""Files of text towers: layouts, sizes, other files."""

import pytest
import torch

from rein_seg.encoders import shapes_only
from rein_seg.errors import UserError
from rein_seg.text import CLIPTokenizer, SharedContext, TextTower, WordTokenizer
from rein_seg.text.files import read_tower
from rein_seg.text.source import build_source
from tests.encoders.transformers_models import model, written
from tests.text.towers import halved, make_tower

IDS = torch.tensor([[49406, 320, 1125, 49407, 0], [49406, 7, 49407, 0, 0]])


@pytest.fixture(scope='module')
def tower():
    return make_tower()


class Node(torch.nn.Module):
    """A tree of tensors by name, as an archive of TorchScript holds them."""

    def __init__(self, state):
        super().__init__()
        heads = {name.partition('.')[0] for name in state}
        for head in heads:
            below = {
                n.partition('.')[2]: x for n, x in state.items() if n.partition('.')[0] == head
            }
            if '' in below:
                self.register_buffer(head, below[''])
            else:
                setattr(self, head, Node(below))


def layouts(tower):
    own = tower.state_dict()
    image = {'visual.conv1.weight': torch.ones(4, 3, 2, 2), 'visual.class_embedding': torch.ones(4)}
    whole = {**own, **image, 'logit_scale': torch.ones(())}
    numbers = dict(input_resolution=224, context_length=77, vocab_size=49408)
    linear = {**own, 'text_projection.weight': own['text_projection'].T}
    del linear['text_projection']
    return {
        'openai': {**whole, **{k: torch.tensor(v) for k, v in numbers.items()}},
        'openai_half': halved(whole),
        'open_clip': {f'module.{k}': v for k, v in whole.items()},
        'open_clip_custom': {f'text.{k}': v for k, v in own.items()} | image,
        'open_clip_linear': {f'text.{k}': v for k, v in linear.items()} | image,
        'denseclip': {f'text_encoder.{k}': v for k, v in own.items()}
        | {'backbone.class_embedding': torch.ones(4), 'contexts': torch.ones(1, 8, 64)},
        'text_alone': own,
    }


@pytest.mark.parametrize('layout', layouts(TextTower(width=2, layers=1, heads=1, vocabulary=9)))
def test_every_layout_gives_the_same_embeddings(tower, layout):
    state = layouts(tower)[layout]
    read, tokenizer = read_tower(state, source='clip.pt')
    assert isinstance(tokenizer, CLIPTokenizer)
    assert (read.width, read.dims, len(read.transformer.resblocks)) == (64, 16, 2)
    half = layout == 'openai_half'
    for name, tensor in tower.state_dict().items():
        expected = tensor.half().float() if half else tensor
        assert torch.equal(read.state_dict()[name], expected), name
    torch.testing.assert_close(
        read.encode_tokens(IDS), tower.encode_tokens(IDS), rtol=0, atol=0.02 if half else 1e-6
    )


def test_an_archive_of_torchscript_is_read_without_running_it(tower, tmp_path):
    path = tmp_path / 'clip.pt'
    torch.jit.script(Node(layouts(tower)['openai_half'])).save(str(path))
    source = build_source(dict(checkpoint=str(path)), dims=16)
    expected = read_tower(layouts(tower)['openai_half'], source='clip.pt')[0]
    torch.testing.assert_close(source.tower.encode_tokens(IDS), expected.encode_tokens(IDS))
    assert not any(p.requires_grad for p in source.tower.parameters())


def test_a_file_of_transformers_gives_that_library_s_embeddings(tmp_path):
    state = written('clip', tmp_path)
    words = WordTokenizer(['a', 'b', 'c', 'd', 'e', 'f'])  # 9 ids, as the model has
    read, _ = read_tower({**state, 'words': words.as_tensor()}, source='hf', heads=2)
    ids = torch.tensor([[7, 3, 4, 8, 0], [7, 6, 8, 0, 0]])
    theirs = model('clip')
    with torch.no_grad():
        hidden = theirs.text_model(ids).last_hidden_state
        expected = theirs.text_projection(hidden[torch.arange(2), ids.argmax(1)])
    torch.testing.assert_close(read.encode_tokens(ids), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ('width', 'heads'), [(16, 1), (64, 1), (96, 1), (128, 2), (512, 8), (768, 12)]
)
def test_heads_have_64_channels(width, heads):
    tower = TextTower(width, layers=1, heads=heads, dims=4)
    read, _ = read_tower(tower.state_dict(), source='clip.pt')
    assert read.transformer.resblocks[0].attn.num_heads == heads


def test_positions_that_were_cut_serve_shorter_texts(tower):
    state = layouts(tower)['denseclip']
    name = 'text_encoder.positional_embedding'
    read, _ = read_tower({**state, name: state[name][:13]}, source='denseclip.pth')
    assert read.context_length == 13
    torch.testing.assert_close(read.encode_tokens(IDS), tower.encode_tokens(IDS))


@pytest.mark.parametrize(('dims', 'millions'), [(1024, 63.66), (512, 63.40)])
def test_parameters_of_denseclip_s_towers(dims, millions):
    with torch.device('meta'):
        tower = TextTower(dims=dims, context_length=13)
    assert round(sum(p.numel() for p in tower.parameters()) / 1e6, 2) == millions


def test_a_model_is_counted_without_a_file():
    with shapes_only():
        prompt = SharedContext(['road', 'sky'], tower=dict(checkpoint='not_there.pt'), dims=1024)
    assert prompt.contexts.shape == (1, 8, 512) and prompt.dims == 1024
    assert prompt.contexts.is_meta


def without(state, *names):
    return {k: v for k, v in state.items() if k not in names}


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda s: {'patch_embed.proj.weight': torch.ones(1)}, r"another file \(it has 'patch_em"),
        (lambda s: {'visual.conv1.weight': torch.ones(1)}, "is CLIP's image tower alone"),
        (lambda s: {**s, 'logit_bias': torch.ones(())}, "is SigLIP's, with another text tower"),
        (
            lambda s: {'text.transformer.embeddings.word_embeddings.weight': torch.ones(1)},
            'of a text tower of the BERT family',
        ),
        (lambda s: {f'text.{k}': v for k, v in s.items()} | {'text.cls_emb': s}, "is CoCa's"),
        (lambda s: without(s, 'text_projection'), 'without its projection into the space of im'),
        (lambda s: without(s, 'positional_embedding'), "KeyError: 'positional_embedding'"),
        (lambda s: without(s, 'ln_final.bias'), r'28/29 tensors.*Missing: ln_final.bias'),
        (
            lambda s: {**s, 'transformer.resblocks.0.ln_1.bias': torch.ones(3)},
            r'Wrong shape: transformer.resblocks.0.ln_1.bias is \(3,\), expected \(64,\)',
        ),
        (lambda s: {**s, 'ln_final.bias': torch.full((64,), torch.nan)}, 'NaN or infinite values'),
        (
            lambda s: {**s, 'token_embedding.weight': torch.ones(9, 64)},
            'has 9 token ids, expected 49408 as CLIPTokenizer',
        ),
        (
            lambda s: {**s, 'words': WordTokenizer(['road']).as_tensor()},
            'has 49408 token ids, expected 4 as WordTokenizer',
        ),
        (lambda s: {**s, 'words': torch.tensor([900])}, 'words of a text tower cannot be read'),
    ],
)
def test_another_file_is_named(tower, change, words):
    with pytest.raises(UserError, match=words) as caught:
        read_tower(change(dict(tower.state_dict())), source='clip.pt')
    assert 'clip.pt' in str(caught.value) and '\n' not in str(caught.value)
