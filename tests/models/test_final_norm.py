"""Backbones whose heads read the final norm of the encoder."""

import pytest

from rein_seg.errors import UserError
from rein_seg.models.final_norm import build_for_heads
from tests.encoders.tiny import ENCODERS


def test_a_head_that_needs_a_final_norm_names_itself_on_models_of_timm_without_one():
    heads = [dict(type='EoMTHead', num_blocks=2)]
    backbone = dict(type='PEFTBackbone', encoder=ENCODERS['pe_spatial'], peft=dict(type='Frozen'))
    said = 'EoMTHead needs encoder.final_norm=True: .* has none: expected a model with such a norm'
    with pytest.raises(UserError, match=said):
        build_for_heads(backbone, heads, 3)
    asked = {**ENCODERS['pe_spatial'], 'final_norm': True}  # the author's own line is named
    with pytest.raises(
        UserError, match='^(model.backbone: )?TimmEncoder final_norm=True .* leave final_norm out'
    ):
        build_for_heads({**backbone, 'encoder': asked}, heads, 3)
