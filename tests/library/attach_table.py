"""Which methods work on which modules, found by training them: writes docs/reference/attach.md.

.venv/bin/python -m tests.library.attach_table
"""

import copy

import torch

import rein_seg.apis  # noqa: F401  registers everything
from rein_seg.errors import UserError
from rein_seg.library.attach import attach
from rein_seg.library.find import known_modules
from tests.library.modules import MODULES, build, image, output
from tests.matrix import configs, methods
from tests.paths import REPO

DOCUMENT = REPO / 'docs/reference/attach.md'
COMMAND = 'python -m tests.library.attach_table'


def step(name: str, method: str) -> str | None:
    """Attaches a method to a module and does one training step.

    Returns:
        Why it is refused; None if it is not.

    Raises:
        AssertionError: If the output at the start is not the frozen module's though the method says
            so, another parameter trains, a gradient is missing or not finite, the step changes
            nothing, or the module is not as it was after ``detach``.
    """
    module = build(name)
    with torch.no_grad():
        before = output(module, image())
    own = {key: value.clone() for key, value in module.state_dict().items()}
    try:
        attached = attach(module, own_config(method))
    except UserError as error:
        return str(error)
    # a setting has the bias of qkv added after the product, which rounds once more
    separate = any(name == 'qkv_bias_separate' for _, name, _ in attached.anatomy.settings)
    exact = 1e-5 if separate else 0.0
    if attached.method.exact_at_start:
        with torch.no_grad():
            torch.testing.assert_close(output(module, image()), before, rtol=exact, atol=exact)
    declared = {id(p) for _, p in attached.method.trainable_parameters() if p.requires_grad}
    assert {id(p) for p in attached.trainable_parameters()} == declared
    if declared:
        train_step(module, attached, before)
    if not attached.method.trains_encoder:
        attached.detach()
        assert module.state_dict().keys() == own.keys()
        with torch.no_grad():
            torch.testing.assert_close(output(module, image()), before, rtol=0, atol=0)
    return None


def train_step(module, attached, before):
    """Does one step of SGD; the output must change."""
    parameters = attached.trainable_parameters()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    start = copy.deepcopy(module).train()
    module.train()
    for _ in range(2):  # of two factors, one of which starts at zero, only one moves at first
        result = output(module, image())
        weights = torch.linspace(-1, 1, result.numel()).reshape(result.shape)
        labels = torch.zeros(len(result), 32, 32, dtype=torch.long)
        loss = (result * weights).sum() + sum(attached.losses(labels).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    missing = [n for n, p in module.named_parameters() if p.requires_grad and p.grad is None]
    assert not missing, missing
    assert all(torch.isfinite(p.grad).all() for p in parameters)
    with torch.no_grad():
        torch.manual_seed(0)
        changed = output(module, image())
        torch.manual_seed(0)
        assert not torch.equal(changed, output(start, image())), 'the step changed nothing'
    frozen = {k: v for k, v in start.state_dict().items() if 'rein_seg_peft' not in k}
    if not attached.method.trains_encoder:
        now = module.state_dict()
        assert all(torch.equal(now[key], value) for key, value in frozen.items())


def own_config(method):
    """Returns the small config of a method, without queries."""
    return {key: value for key, value in configs(method)[0].items() if key != 'query_dims'}


def document() -> str:
    """Returns the text of docs/reference/attach.md."""
    reasons: list[str] = []
    rows, works = [], dict.fromkeys(MODULES, 0)
    for method in methods():
        cells = []
        for name in MODULES:
            reason = step(name, method)
            works[name] += reason is None
            if reason is not None and reason not in reasons:
                reasons.append(reason)
            cells.append('yes' if reason is None else f'no ({reasons.index(reason) + 1})')
        rows.append(f'| {method} | {" | ".join(cells)} |')
    total = len(methods())
    return '\n'.join(
        [
            '# Methods on your own module',
            '',
            f'Written by `{COMMAND}`; `tests/library/test_attach_table.py` fails if it is out of',
            'date.',
            '',
            '- **yes**: `rein_seg.attach` put the method on a tiny module with random weights.',
            '  Where the method starts exactly, the output did not change. The declared parameters',
            '  trained, each with a finite gradient. Two steps changed the output and no frozen',
            '  value. After `detach` the module was as before, bit for bit.',
            '- **no (n)**: attaching it is an error, with the message n below.',
            '',
            f'| Method | {" | ".join(MODULES)} |',
            f'|---|{"---|" * len(MODULES)}',
            *rows,
            f'| of {total} | {" | ".join(str(count) for count in works.values())} |',
            '',
            '## Classes',
            '',
            'A class is known by its exact name; `rein_seg.known_modules()` lists them:',
            '',
            *(f'- `{name}`' for name in known_modules()),
            '',
            '## Messages',
            '',
            *(f'{i}. {reason}' for i, reason in enumerate(reasons, start=1)),
            '',
        ]
    )


if __name__ == '__main__':
    DOCUMENT.write_text(document())
