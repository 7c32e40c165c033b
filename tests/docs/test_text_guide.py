"""The code of the guide on classes as words runs as it stands, on towers of random weights."""

import rein_seg
from tests.docs.tutorial import FENCE
from tests.paths import REPO
from tests.run.words import ENCODER, write_towers

GUIDE = REPO / 'docs/guides/text.md'
WORDS = ('tree', 'tram')


def test_the_python_of_the_guide(tmp_path, capsys):
    towers = write_towers(tmp_path / 'towers.safetensors', words=WORDS)
    encoder = {**ENCODER, 'checkpoint': towers}
    classes = ['road', 'sky', 'car']
    head = dict(type='ATMHead', num_heads=2)
    model = rein_seg.build_model(encoder, 'LoRA', head, classes=classes)
    rein_seg.save_adapter(model, tmp_path / 'adapter.safetensors')
    blocks = [code for _, kind, _, code in FENCE.findall(GUIDE.read_text()) if kind == 'python']
    blocks = [code for code in blocks if '_base_' not in code]
    assert len(blocks) == 3
    names = {}
    for code in blocks:
        for said, instead in (
            ("'package:tinyclip.safetensors'", repr(towers)),
            ("'work_dirs/zegclip_tiny_miniscapes'", repr(str(tmp_path))),
            ("'tinyclip'", repr(encoder)),
        ):
            code = code.replace(said, instead)
        exec(compile(code, str(GUIDE), 'exec'), names)
    assert names['scores'].shape == (1, 4, 16, 32)
    assert names['other'].classes == ('road', 'bus', 'sky', 'building')
    assert names['loss'].requires_grad
    assert capsys.readouterr().out.count('torch.Size([1, 4, 16, 32])') == 1
