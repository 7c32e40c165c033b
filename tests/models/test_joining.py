"""Which heads may join the encoder."""

import pytest

from rein_seg.errors import UserError
from rein_seg.models.joining import check_joining, refuse_joining
from tests.models.tiny import build

EOMT = dict(type='EoMTHead', num_queries=5, num_blocks=1)
LINEAR = dict(type='LinearHead')
CASCADE = dict(type='CascadeHead', heads=[EOMT, LINEAR])


def test_one_decode_head_may_join_beside_auxiliary_heads():
    check_joining(EOMT, None, None)
    check_joining(EOMT, [LINEAR, LINEAR], None)
    check_joining(LINEAR, LINEAR, dict(type='FPN'))
    check_joining(dict(type='NoSuchHead'), None, None)  # an error of its own, later


@pytest.mark.parametrize(
    ('decode', 'auxiliary', 'neck', 'message'),
    [
        (LINEAR, EOMT, None, 'one head alone can do: expected it as model.decode_head'),
        (EOMT, [LINEAR, EOMT], None, 'one head alone can do'),
        (CASCADE, None, None, 'not among auxiliary heads or in a cascade; move it'),
        (EOMT, None, dict(type='FPN'), "model.neck='FPN' would change them: expected no neck"),
    ],
)
def test_what_cannot_join(decode, auxiliary, neck, message):
    with pytest.raises(UserError, match=message):
        check_joining(decode, auxiliary, neck)
    with pytest.raises(UserError, match=message):  # before the encoder is built
        build('vit_tiny', decode, auxiliary_head=auxiliary, neck=neck)


def test_tasks_share_one_pass():
    places = {'model.decode_head': None, 'model.tasks.road.decode_head': EOMT}
    with pytest.raises(UserError, match=r'model.tasks.road.decode_head: EoMTHead passes its'):
        refuse_joining(places)
    options = dict(type='MultiTaskSegmentor', tasks=dict(road=dict(classes=['rest', 'road'])))
    with pytest.raises(UserError, match='share one pass'):
        build('vit_tiny', EOMT, dict(type='LoRA'), num_classes=None, **options)
