"""The page of fast forms, made of their switches."""

from __future__ import annotations

from rein_seg.fast.dispatch import VARIABLE
from rein_seg.fast.switches import FORMS, PROCESS
from tests.paths import REPO

DOCUMENT = REPO / 'docs/reference/fast-forms.md'
HEAD = f"""# Fast forms

Written by `make support` from `rein_seg/fast/switches.py`.

Heads and encoders hold the plain form of a computation, as a paper would print it. A faster form
of it lies in `rein_seg/fast/`. It is equal by test, up to the order of float sums, and replaces the
plain form where it applies. The log names the active forms in one line. The environment variable
`{VARIABLE}` switches them:

| value | effect |
|---|---|
| not set | every form is used where it applies |
| `{VARIABLE}=0` | plain forms only |
| `{VARIABLE}=-winograd,-short_softmax` | all but the named forms |
| `{VARIABLE}=+onednn_matmul` | oneDNN's matrix products on any processor that has them |

In a program: `rein_seg.fast.dispatch.without(...)`. Measurements:
[Performance](../background/performance.md).
"""


def document() -> str:
    """Returns the text of docs/reference/fast-forms.md."""
    return (
        HEAD
        + _table('Forms of a computation', FORMS.values())
        + _table('Settings of the process', PROCESS)
        + '\nThe command line switches the settings of the process on; in a program it is your\n'
        'choice: `rein_seg.fast.dispatch.use_in_process()`.\n'
    )


def _table(title: str, switches) -> str:
    rows = [f'| `{one.name}` | {one.why} | {one.where} |\n' for one in switches]
    return f'\n## {title}\n\n| name | gain | used on |\n|---|---|---|\n' + ''.join(rows)
