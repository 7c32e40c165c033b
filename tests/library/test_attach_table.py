"""Methods on modules of other libraries, as docs/reference/attach.md says."""

import pytest

from rein_seg.registry import ANATOMIES, anatomy_function
from tests.library import attach_table
from tests.library.modules import FAST, MODULES, build

FEW = ('LoRA', 'Rein', 'VPT', 'BitFit', 'Mona', 'AdaptFormer')


@pytest.mark.parametrize('method', FEW)
@pytest.mark.parametrize('name', FAST)
def test_a_few_methods_train_a_step(name, method):
    reason = attach_table.step(name, method)
    refused = (name, method) == ('torchvision ResNet', 'VPT')
    assert (reason is not None) == refused, reason
    assert f'| {name} |' in attach_table.DOCUMENT.read_text()


@pytest.mark.whole_matrix
def test_the_document_is_what_was_found():
    text = attach_table.document()
    assert attach_table.DOCUMENT.read_text() == text, f'run {attach_table.COMMAND}, look at it'


def test_every_anatomy_of_another_library_is_tried():
    tried = {anatomy_function(build(name)) for name in MODULES}
    others = {function for key, function in ANATOMIES.items() if isinstance(key, str)}
    assert tried == others
