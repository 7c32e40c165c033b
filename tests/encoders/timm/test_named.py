"""Plain vision transformers that users ask for by name compute what timm computes, at 0.0."""

import pytest
import timm
import torch

from rein_seg.encoders.timm.filters import timm_filter
from rein_seg.encoders.timm.model import TimmEncoder
from rein_seg.encoders.timm.weights import timm_weights
from tests.named_models import KINDS, NAMED, of_kind

PLAIN = of_kind('plain')


def trained_looking(model):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for param in model.parameters():
            param.copy_(torch.randn(param.shape, generator=generator) * 0.1)
    return model.eval()


def timm_model(name, state=None, **options):
    """The model as timm builds it, with a file's tensors as timm itself would load them."""
    model = timm.create_model(name, num_classes=3, **NAMED[name].args, **options)
    if state is not None:
        model.load_state_dict(timm_filter(model, name)(dict(state), model))
    return model.eval()


def side_of(name, wanted):
    patch = 14 if 'patch14' in name else 16
    return wanted // patch * patch


@pytest.mark.parametrize('size', ['native', '512', '128 x 96'])
@pytest.mark.parametrize('name', PLAIN)
def test_output_is_that_of_timm(name, size):
    native = NAMED[name].native
    state = trained_looking(timm_model(name)).state_dict()
    side = {'native': native, '512': 512, '128 x 96': 128}[size]
    shape = side_of(name, side), side_of(name, 96 if size == '128 x 96' else side)
    reference = timm_model(name, state, img_size=shape)
    encoder = TimmEncoder(name, shape, out_indices=[0, 1], model_args=NAMED[name].args).eval()
    encoder.load_state_dict(timm_weights(encoder, dict(state)).tensors)
    image = torch.randn(1, 3, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = reference.forward_intermediates(
            image, indices=[0, 1], norm=False, intermediates_only=True
        )
        for ours, theirs in zip(encoder(image), expected, strict=True):
            assert ours.shape == theirs.shape
            assert torch.equal(ours, theirs), (ours - theirs).abs().max()


def test_the_table_has_what_it_promises():
    plain, conv, stages = (len(of_kind(kind)) for kind in ('plain', *KINDS[:2]))
    assert (plain >= 10, conv >= 8, conv + stages >= 25) == (True, True, True)
    for name, model in NAMED.items():
        published = timm.get_pretrained_cfg(name) or timm.get_pretrained_cfg(name.split('.')[0])
        assert published.input_size[-1] == model.native, name
