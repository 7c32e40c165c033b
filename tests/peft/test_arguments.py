"""Arguments of methods, checked against their annotations."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.peft import VPT, LoRA, PEFTMethod
from rein_seg.peft.arguments import ODD, Count, Names, NotNegative, Probability, fits, in_words
from rein_seg.registry import build_method, describe_method


@pytest.mark.parametrize(
    ('hint', 'good', 'bad'),
    [
        (int, [0, -3], [True, 1.0, '1', None, np.int64(1), torch.tensor(1)]),
        (float, [0, 1.5, -2], [True, math.nan, math.inf, '1', None, np.float64(1), np.float32(1)]),
        (bool, [True, False], [0, 1, 'True', None]),
        (str, ['a', ''], [b'a', 1, None]),
        (Count, [1, 7], [0, -1, True]),
        (NotNegative, [0, 0.5], [-0.5, math.nan]),
        (Probability, [0, 1, 0.1], [-0.1, 1.1]),
        (Annotated[int, ODD], [1, -1], [2]),
        (Count | None, [None, 1], [0]),
        (Literal['a', 'b'], ['a'], ['c', 1, None, ['a']]),
        (Sequence[int], [[], [1], (1, 2), range(3)], ['12', 12, {1}, [True], [1, '2']]),
        (Names, [['q'], ('q', 'v')], [[], 'q', ['q', 1]]),
        (Any, [None, object()], []),
        (Mapping[str, Any], [{}, {'a': 3}], [3, ['a']]),
    ],
)
def test_values_fit_their_annotations(hint, good, bad):
    assert [fits(value, hint) for value in good] == [True] * len(good)
    assert [fits(value, hint) for value in bad] == [False] * len(bad)


@pytest.mark.parametrize(
    ('hint', 'words'),
    [
        (bool, 'True or False'),
        (Count | None, 'a whole number, at least 1, or None'),
        (float | None, 'a number or None'),
        (Names, 'a list of names, not empty'),
        (Sequence[Count], 'a list of whole numbers, each at least 1'),
        (Sequence[float], 'a list of numbers'),
        (Annotated[Sequence[Mapping], ODD], 'a list of values, odd'),
    ],
)
def test_annotations_in_words(hint, words):
    assert in_words(hint) == words


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(rank='4'), "^LoRA rank='4': expected a whole number, at least 1$"),
        (dict(rank=True), '^LoRA rank=True: expected a whole number, at least 1$'),
        (dict(rank=np.int64(4)), r'rank=np.int64\(4\): .*at least 1; give 4$'),
        (dict(alpha=math.nan), '^LoRA alpha=nan: expected a number, above 0$'),
        (dict(targets='qv'), "targets='qv': expected a list of names"),
        (dict(blocks=['1']), r"blocks=\['1'\]: expected a list of whole numbers or None"),
    ],
)
def test_built_by_hand_or_from_a_config_the_message_is_the_same(options, message):
    for build in (LoRA, lambda **options: build_method(dict(type='LoRA', **options))):
        with pytest.raises(UserError, match=message):
            build(**options)


def test_positions_and_subclasses_are_checked_too():
    with pytest.raises(UserError, match='VPT num_tokens=0'):
        VPT(0)

    class Longer(VPT):
        def __init__(self, extra: Count = 1, **options: Any) -> None:
            super().__init__(**options)

    assert Longer(2, num_tokens=3).num_tokens == 3
    with pytest.raises(UserError, match='^Longer extra=0'):
        Longer(0)
    with pytest.raises(UserError, match="^Longer form='wide'"):
        Longer(form='wide')


def test_unknown_and_missing_arguments_are_the_errors_of_python():
    class Needs(PEFTMethod):
        def __init__(self, size: Count) -> None:
            super().__init__()

    with pytest.raises(TypeError, match="missing 1 required .*'size'"):
        Needs()
    with pytest.raises(TypeError, match="unexpected keyword argument 'rnk'"):
        LoRA(rnk=4)


def test_the_signature_stays():
    described = describe_method(dict(type='VPT'))
    assert described == dict(
        type='VPT',
        num_tokens=150,
        form='deep',
        project_dims=None,
        dropout=0.0,
        blocks=None,
        post_norm=False,
    )


def test_annotations_that_cannot_be_read_check_nothing():
    class Foreign(PEFTMethod):
        def __init__(self, size: 'NotImported' = 1) -> None:  # noqa: F821
            super().__init__()

    assert isinstance(Foreign('anything'), PEFTMethod)
