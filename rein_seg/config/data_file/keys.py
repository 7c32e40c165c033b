"""The keys of a data file, with the type and the range of each value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from rein_seg.config.schema import kinds
from rein_seg.config.schema.forms import Form, Named, OneOf, Table
from rein_seg.config.schema.keys import BANDS, SPLIT_RULE
from rein_seg.rules import NOT_EMPTY, Rule, at_least, at_most

# it becomes part of file names and of the protocol's name
_NAME = Rule(
    'letters, digits, spaces and . _ - (at most 64)',
    lambda text: re.fullmatch(r'\w[\w .-]{0,63}', text) is not None and text == text.strip(),
)
Name = Annotated[str, _NAME]
Side = Annotated[int, at_least(32), at_most(4096)]
Colour = tuple[kinds.Level, kinds.Level, kinds.Level]
Places = kinds.Text | Annotated[Sequence[kinds.Text], NOT_EMPTY]

# of one split; a domain gives them to its splits, the file to its only domain
PLACE: Mapping[str, Form] = {
    'images': kinds.Text,
    'labels': kinds.Text,
    'list': kinds.Text,
    'csv': kinds.Text,
}
# of the files, for one split, one domain or all
FILES: Mapping[str, Form] = {
    'image_suffix': Places,
    'label_suffix': Places,
    'skip': kinds.Text | Sequence[kinds.Text],
    'orientation': Literal['displayed', 'stored'],
    'wrong_size': Literal['error', 'skip', 'resize'],
    'max_value': kinds.Positive,
}
SPLITS = ('train', 'val', 'test')
_SPLIT = OneOf((Table({**PLACE, **FILES}), kinds.Text))
DOMAIN: Mapping[str, Form] = {
    **dict.fromkeys(SPLITS, _SPLIT),
    **PLACE,
    **FILES,
    'split': SPLIT_RULE,
}
FILE: Mapping[str, Form] = {
    'name': Name,
    'root': kinds.Text,
    'classes': Any,  # `classes` reads its forms
    'palette': Any,
    'label_colours': Any,
    'ignore': Any,
    'unseen': Annotated[Sequence[kinds.Text], NOT_EMPTY],
    'names': Named(OneOf((Annotated[Sequence[kinds.Text], NOT_EMPTY], kinds.Text))),
    'threshold': Annotated[int, at_least(1), at_most(255)],
    'class_weights': Any,
    'size': Side,
    'crop': Side,
    'source': kinds.Text | Annotated[Sequence[kinds.Text], NOT_EMPTY],
    'batch_size': kinds.Batch,
    'workers': kinds.Workers,
    'bands': Annotated[Sequence[kinds.Text], NOT_EMPTY],
    **{key: form for key, form in BANDS.keys.items() if key != 'names'},
    'domains': Named(Table(DOMAIN)),
    **DOMAIN,
}
# a config may give these beside the file
CHANGES = ('size', 'crop', 'class_weights', 'batch_size')
