"""Every method on every model of tests/named_models.py: a section of docs/reference/support.md.

Each pair is attached, trained two steps, merged where that is exact, and detached.
"""

import contextlib
import copy
import functools
import multiprocessing
import os
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import torch
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.peft import build_methods
from tests.named_models import NAMED

MERGES, WORKS, REFUSED, OPTIONS = 'merges', 'yes', 'no', 'options'
TRAINS = 'Trains with'
# options beside those of tests/peft/cases.py, for networks with other roles of operations
OTHERS = {
    'ConvLoRA': (
        dict(type='ConvLoRA', targets=['pw1', 'pw2'], num_experts=2),
        dict(type='ConvLoRA', targets=['pw1'], num_experts=2),
    ),
    'RepAdapter': (dict(type='RepAdapter', targets=['downsample'], hidden_dims=4),),
}
TITLE = 'Named models of timm and methods'


@dataclass(frozen=True)
class Cell:
    """What became of one pair: the answer, and why it is refused."""

    answer: str
    reason: str = ''


@functools.cache
def frozen(name):
    """Returns a backbone without a method, and its outputs; or why the model is refused."""
    torch.manual_seed(0)
    encoder = NAMED[name].config(name)
    try:
        backbone = MODELS.build(
            dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='Frozen'))
        )
        _look_trained(backbone.encoder)
        return backbone, outputs(backbone, name)
    except UserError as error:
        return _message(error, name), None


def _message(error, name):
    """Returns a message in one form for all models."""
    return str(error).replace(f"'{name}'", "'MODEL'")


def _look_trained(encoder):
    """Moves what timm draws at zero: the last norm of a branch would hide the branch."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for param in encoder.parameters():
            if param.squeeze().dim() <= 1:
                param.add_(torch.randn(param.shape, generator=generator) * 0.2)


def image(name):
    side = NAMED[name].side
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(7))


def outputs(backbone, name):
    """Returns the maps in evaluation mode."""
    backbone.eval()
    with torch.no_grad():
        torch.manual_seed(3)
        return [x.clone() for x in backbone(image(name)).maps]


@functools.cache
def probe(name, method):
    """Tries one method on one model.

    Raises:
        AssertionError: If the start is not exact where the method says so, another parameter
            trains, a gradient is missing or not finite, training changes nothing, the merged model
            differs, or the encoder is not as it was after `detach`.
    """
    from tests.matrix import configs

    refusal, before = frozen(name)
    if before is None:
        return Cell(REFUSED, refusal)
    first, *others = configs(method)
    cell = _probe(name, first)
    for other in [*others, *OTHERS.get(method, ())] if cell.reason else ():
        if not _probe(name, other).reason:
            changed = {k: v for k, v in other.items() if k not in first or v != first[k]}
            options = ', '.join(f'{key}={value!r}' for key, value in changed.items())
            return Cell(OPTIONS, f'{cell.reason}. {TRAINS} {options}')
    return cell


def _probe(name, config):
    backbone, before = frozen(name)
    torch.manual_seed(1)
    peft = build_methods(config)
    used = copy.deepcopy(backbone) if peft.trains_encoder else backbone
    try:
        with attached(used, peft):
            cell = _try(used, name, before)
    except UserError as error:
        cell = Cell(REFUSED, _message(error, name))
    for x, y in zip(outputs(backbone, name), before, strict=True):
        assert torch.equal(x, y), f'{name}: not the same after detach'
    return cell


@contextlib.contextmanager
def attached(backbone, peft):
    """Has a method in the backbone in place of its own."""
    own = backbone.peft
    own.detach()
    try:
        peft.attach(backbone.encoder, backbone.anatomy)
        backbone.peft = peft
        backbone._freeze()
        yield
    except BaseException:
        peft._unhook()
        raise
    else:
        if not peft.merged:  # else the backbone is a copy, and is left as it is
            peft.detach()
    finally:
        if not peft.merged:
            backbone.peft = own
            own.attach(backbone.encoder, backbone.anatomy)
            backbone._freeze()


def _try(backbone, name, before):
    start = outputs(backbone, name)
    if backbone.peft.exact_at_start and not backbone.peft.moves_pixels:
        for x, y in zip(start, before, strict=True):
            # a method may hand on another order in memory, and kernels round otherwise
            assert _near(x, y, 1e-6), f'{name}: not exact at the start'
    trained = [p for p in backbone.parameters() if p.requires_grad]
    declared = [p for _, p in backbone.peft.trainable_parameters() if p.requires_grad]
    assert {id(p) for p in trained} == {id(p) for p in declared}, name
    if not trained:
        return _merge(backbone, name, start)
    _train(backbone, name, trained)
    after = outputs(backbone, name)
    assert all(torch.isfinite(x).all() for x in after), f'{name}: not finite'
    changed = any(not torch.equal(x, y) for x, y in zip(after, start, strict=True))
    assert changed, f'{name}: training changed nothing'
    return _merge(backbone, name, after)


def _train(backbone, name, trained):
    backbone.train()
    optimizer = torch.optim.Adam(trained, lr=1e-2)
    height, width = image(name).shape[-2:]
    labels = torch.arange(height * width).view(1, height, width) % 3
    for _ in range(2):  # of two factors, one of which starts at zero, only one moves at first
        torch.manual_seed(5)
        features = backbone(image(name))
        read = [*features.maps, *([] if features.queries is None else [features.queries])]
        losses = {
            **backbone.peft.aux_losses(),
            **backbone.peft.label_losses(labels, ignore_index=255),
            **backbone.peft.image_losses(torch.tensor([2])),
        }
        loss = sum((x * _weights(x)).mean() for x in read) + sum(losses.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    names = {id(p): n for n, p in backbone.named_parameters()}
    bad = [names[id(p)] for p in trained if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not bad, f'{name}: no finite gradient for {bad[:3]} of {len(trained)}'


def _weights(x):
    return torch.linspace(-1, 1, x.numel()).reshape(x.shape)


def _merge(backbone, name, expected):
    try:
        backbone.peft.check_mergeable()
    except NotImplementedError:
        return Cell(WORKS)
    if not backbone.peft.trains_encoder:
        backbone = copy.deepcopy(backbone)
    backbone.peft.merge()
    for x, y in zip(outputs(backbone, name), expected, strict=True):
        assert _near(x, y, 1e-3), f'{name}: merged differs by {(x - y).abs().max()}'
    return Cell(MERGES)


def _near(x, y, tolerance):
    return bool((x - y).abs().max() <= tolerance * y.abs().max())


def row(name, methods=None):
    """Returns method -> cell of one model."""
    from tests.matrix import methods as all_methods

    cells = {method: probe(name, method) for method in methods or all_methods()}
    frozen.cache_clear()
    return cells


def table(workers=None):
    """Returns model -> method -> cell, of models shared out to processes."""
    workers = workers or min(2, os.cpu_count() or 1)
    if workers == 1:
        return {name: row(name) for name in NAMED}
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin) as pool:
        return dict(zip(NAMED, pool.map(row, NAMED), strict=True))


def _begin():
    import rein_seg.apis  # noqa: F401  registers everything

    torch.set_num_threads(1)


def section(cells, cell_of):
    """Returns the lines of the page.

    Args:
        cells: Of `table`.
        cell_of: Gives the text for a message, which is listed at the end of the page.
    """
    answers = [cell.answer for row in cells.values() for cell in row.values()]
    merging = answers.count(MERGES)
    columns = list(next(iter(cells.values())))
    lines = [
        f'{len(cells)} models of timm by name (tests/named_models.py), with random weights, and '
        f'{len(columns)} methods:',
        f'**{len(answers)} pairs were tried, {len(answers) - answers.count(REFUSED)} work, and '
        f'{merging} of these merge.**',
        '',
        '- **yes**: the method was attached; its declared parameters, and no others, trained two',
        '  steps with finite gradients, which changed the output; after `detach` the output was',
        '  as before, bit for bit.',
        '- **merges**: so it was, and a merged copy of the model gives the same output.',
        '- **options (n)**: so it was with other options; the defaults are an error, with the',
        '  message n below.',
        '- **no (n)**: an error, with the message n below; MODEL is the name.',
        '',
        f'| Model | Kind | {" | ".join(columns)} |',
        f'|---|---|{"---|" * len(columns)}',
    ]
    for name, row_ in cells.items():
        texts = [cell_of(cell.reason) if cell.reason else cell.answer for cell in row_.values()]
        lines.append(f'| {name} | {NAMED[name].kind} | {" | ".join(texts)} |')
    return lines


def read(page):
    """Returns model -> method -> cell, as the page has them."""
    found = re.finditer(r'^(\d+)\. (.*)$', page.partition('## Messages')[2], re.M)
    messages = {match[1]: match[2] for match in found}
    lines = page.partition(f'## {TITLE}')[2].partition('\n## ')[0].splitlines()
    head, _, *rows = (line.strip('| ').split(' | ') for line in lines if line.startswith('|'))
    return {
        name: {
            method: _read_cell(text, messages) for method, text in zip(head[2:], texts, strict=True)
        }
        for name, _, *texts in rows
    }


def _read_cell(text, messages):
    answer, _, number = text.rstrip(')').partition(' (')
    return Cell(answer, messages[number] if number else '')
