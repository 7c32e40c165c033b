"""Annotations that several keys and arguments share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from rein_seg.rules import (
    ABOVE_0,
    Count,
    NotNegative,
    Positive,
    Probability,
    Rule,
    at_least,
    at_most,
)

# sizes of layers and numbers of layers: more would be a slip, and end for lack of memory
Size = Annotated[int, at_least(1), at_most(2**17)]
Index = Annotated[int, at_least(0)]
Rate = Annotated[float, ABOVE_0, at_most(10)]
Decay = Annotated[float, at_least(0), at_most(100)]
Weight = Annotated[float, at_least(0), at_most(1e6)]
Share = Annotated[float, ABOVE_0, at_most(1)]
BelowOne = Annotated[float, Rule('from 0 to below 1', lambda value: 0 <= value < 1)]
Seconds = Annotated[float, ABOVE_0, at_most(1e7)]
Batch = Annotated[int, at_least(1), at_most(2**16)]
Workers = Annotated[int, at_least(0), at_most(1024)]
Iterations = Annotated[int, at_least(1), at_most(10**9)]
Seed = Annotated[int, at_least(0), at_most(2**32 - 1)]
Level = Annotated[int, at_least(0), at_most(255)]
NEVER = Rule('-1 or at least 1', lambda value: value == -1 or value >= 1)
OrNever = Annotated[int, NEVER]
Pixels = Annotated[int, at_least(1), at_most(2**16)]
Area = tuple[Pixels, Pixels]
Text = Annotated[str, Rule('not empty', lambda value: bool(value.strip()) and '\0' not in value)]
Rising = Annotated[tuple[NotNegative, NotNegative], Rule('rising', lambda pair: pair[0] <= pair[1])]
Precision = Literal['bfloat16', 'float16', 'float32']
Better = Literal['greater', 'less']
Scores = Text | Sequence[Text]

__all__ = [
    'Area', 'Batch', 'BelowOne', 'Better', 'Count', 'Decay', 'Index', 'Iterations', 'Level',
    'NotNegative', 'OrNever', 'Pixels', 'Positive', 'Precision', 'Probability', 'Rate', 'Rising',
    'Scores', 'Seed', 'Share', 'Size', 'Text', 'Weight', 'Workers',
]  # fmt: skip
