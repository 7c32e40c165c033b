"""Every method with every encoder and head trains a step or is refused, as support.md says."""

import re

import pytest
from mmseg.registry import MODELS

from rein_seg.encoders import build_encoder
from rein_seg.heads.image import ImageHead
from rein_seg.registry import ANATOMIES, anatomy_function, method_class
from tests import matrix, methods_page, named_matrix
from tests.encoders.tiny import ENCODERS, FOUR_MAPS
from tests.heads.tiny import HEADS, PARTIAL


@pytest.mark.whole_matrix
@pytest.mark.parametrize('method', matrix.methods())
def test_method_trains_or_is_refused_with_a_reason(method):
    """The rest of what may happen, an error of another kind or no gradient, fails here."""
    heads = matrix.by_head(method)
    refused_by = {head: HEADS[head]['decode_head']['type'] for head in PARTIAL}
    cells = [*matrix.by_encoder(method).items(), *heads.items()]
    of_images = method_class(method).moves_pixels  # not of a segmentor, which this is about
    assert of_images != any(not reason for _, reason in cells), 'refused everywhere'
    for column, reason in cells:
        own = method in reason or refused_by.get(column, method) in reason
        assert own or reason in ('', matrix.UNLINKED), column


@pytest.mark.whole_matrix
@pytest.mark.parametrize('head', HEADS)
def test_head_trains_on_every_encoder_or_is_refused_with_a_reason(head):
    reasons = {family: why for family, why in matrix.heads_by_encoder(head).items() if why}
    own = [HEADS[head][part]['type'] for part in ('decode_head', 'neck') if part in HEADS[head]]
    assert all(any(name in why for name in own) for why in reasons.values())
    options = {family for family, why in reasons.items() if matrix.TRAINS in why}
    assert options <= {'ddrnet'}  # its last map is of one branch of two
    assert reasons.keys() == options or head in PARTIAL


@pytest.mark.whole_matrix
def test_the_document_is_what_was_found():
    text = matrix.DOCUMENT.read_text()
    # its rows of named models: tests/test_named_matrix.py
    assert text == matrix.document(named_matrix.read(text)), f'run {matrix.COMMAND}, look at it'


def test_the_page_of_methods_is_what_they_say():
    text = methods_page.document()
    assert methods_page.DOCUMENT.read_text() == text, f'run {matrix.COMMAND}, look at it'
    linked = re.findall(r'\]\(([^)]+)\) \|', text)
    assert len(linked) == len(matrix.methods())
    assert all((methods_page.DOCUMENT.parent / link).exists() for link in linked)


def test_every_family_is_tried():
    tried = {anatomy_function(build_encoder(cfg)[0]) for cfg in ENCODERS.values()}
    # those of other libraries: tests/library/test_attach_table.py
    others = ('timm.', 'torchvision.', 'transformers.', 'mmpretrain.SwinTransformer')
    ours = {f for key, f in ANATOMIES.items() if not str(key).startswith(others)}
    assert tried == ours
    assert FOUR_MAPS.keys() == matrix.families().keys()


def test_every_head_of_ours_is_tried():
    parts = ('decode_head', 'auxiliary_head')
    tried = {row[part]['type'] for row in HEADS.values() for part in parts if part in row}
    classes = MODELS.module_dict.items()
    ours = {
        name
        for name, cls in classes
        if cls.__module__.startswith('rein_seg.heads') and not issubclass(cls, ImageHead)
    }
    assert {name for name in ours if name.endswith('Head')} <= tried
