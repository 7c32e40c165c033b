"""One wrong input of a campaign, and how a command took it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MARKER = 'EXECUTED'  # a file that carries code writes this file into the working folder


@dataclass(frozen=True)
class Case:
    """A wrong input, or a rare one that is right.

    Attributes:
        name: In the table of cases, unique in its kind.
        prepare: Writes the case's files into an empty folder, which is the working folder of the
            command, and returns the arguments of ``rein-seg``.
        says: Regular expression that the line of the error holds: it names the thing. None:
            the exit code says enough.
        codes: Exit codes that are right. 2: a mistake of the user; 74: input or output.
        check: Of an input that is right, in place of ``says``: gets the folder and the output of a
            command that ended with 0, and raises AssertionError where the result is wrong.
        environment: Further environment variables.
        timeout: Seconds after which the command counts as hanging.
        memory: Bytes of address space that the command may take, beyond those at its start.
    """

    name: str
    prepare: Callable[[Path], list[str]]
    says: str | None = ''
    codes: tuple[int, ...] = (2,)
    check: Callable[[Path, str], None] | None = None
    environment: tuple[tuple[str, str], ...] = ()
    timeout: float = 120.0
    memory: int = 6 << 30


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: Exit code; negative: the number of the signal that ended it.
        out: Standard output.
        err: Standard error.
        seconds: Wall time.
        hung: Whether it was ended after the time of the case.
        executed: Whether code of the input ran.
    """

    code: int
    out: str
    err: str
    seconds: float
    hung: bool = False
    executed: bool = False


CLEAR = 'clear'
VERDICTS = (CLEAR, 'executed', 'traceback', 'silent', 'unclear', 'hang', 'signal')


def judge(case: Case, outcome: Outcome, folder: Path) -> tuple[str, str]:
    """Returns one of `VERDICTS`, and the line that shows why.

    Example:
        >>> from pathlib import Path
        >>> from tests.campaign.case import Case, Outcome, judge
        >>> case = Case('typo', lambda folder: ['train', 'x'], says="'max_itres'")
        >>> judge(case, Outcome(2, '', "error: 'max_itres': unknown", 1.0), Path())
        ('clear', "error: 'max_itres': unknown")
        >>> judge(case, Outcome(0, '', '', 1.0), Path())
        ('silent', 'exit code 0')
    """
    lines = [line for line in outcome.err.splitlines() if line.strip()]
    last = lines[-1] if lines else f'exit code {outcome.code}'
    text = outcome.out + outcome.err
    if outcome.executed:
        return 'executed', last
    if outcome.hung:
        return 'hang', f'no end after {case.timeout:g} s'
    if outcome.code < 0:
        return 'signal', f'signal {-outcome.code}'
    if 'Traceback (most recent call last)' in text:
        return 'traceback', last
    if case.check is not None:
        if outcome.code != 0:
            return 'unclear', last
        try:
            case.check(folder, text)
        except AssertionError as error:
            return 'silent', f'wrong result: {error}'
        return CLEAR, 'the right result'
    if outcome.code == 0:
        return 'silent', 'exit code 0'
    if case.says is None:
        return (CLEAR if outcome.code in case.codes else 'unclear'), last
    errors = [line for line in lines if 'error: ' in line]
    if outcome.code in case.codes and len(errors) == 1 and re.search(case.says, errors[0]):
        return CLEAR, errors[0]
    return 'unclear', f'exit code {outcome.code}: {last}'
