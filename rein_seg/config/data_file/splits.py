"""The domains of a data file: which train, which are targets, and the files of each split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rein_seg.config.data_file.keys import DOMAIN, FILES, PLACE, SPLITS, Name
from rein_seg.config.schema.forms import words
from rein_seg.errors import UserError, near_misses
from rein_seg.rules import fits

_RESERVED = ('mean',)  # the mean over targets has this name among the scores
DEFAULT_RULE = {'val': 0.2, 'by': 'image', 'seed': 0}
Files = dict[str, Any]


@dataclass(frozen=True)
class OwnDomain:
    """A domain of a data file.

    Attributes:
        name: Of the domain.
        trains: Whether it is a source.
        files: train, val or test -> arguments of the data set.
    """

    name: str
    trains: bool
    files: Mapping[str, Files] = field(default_factory=dict)

    def first(self, *splits: str) -> Files | None:
        """Returns the files of the first of these splits that is there."""
        return next((self.files[split] for split in splits if split in self.files), None)


def read_domains(content: Mapping[str, Any], file: str) -> list[OwnDomain]:
    """Returns the domains of a data file, the sources first.

    Args:
        content: Of the file, with values of the right types.
        file: Its name, for messages.

    Raises:
        UserError: If a name is unknown, files are named twice or not at all, or no domain trains.

    Example:
        >>> from rein_seg.config.data_file.splits import read_domains
        >>> day = {'train': {'images': 'a', 'labels': 'b'}, 'val': {'images': 'c', 'labels': 'd'}}
        >>> dusk = {'images': 'e', 'labels': 'f'}
        >>> content = {'name': 'town', 'domains': {'dusk': dusk, 'day': day}}
        >>> [(one.name, one.trains, list(one.files)) for one in read_domains(content, 'data.yaml')]
        [('day', True, ['train', 'val']), ('dusk', False, ['test'])]
    """
    nodes = _nodes(content, file)
    sources = _sources(content, nodes, file)
    found = [_domain(name, nodes[name], name in sources, content, file) for name in nodes]
    return sorted(found, key=lambda one: not one.trains)  # stable: the order of the file


def _nodes(content: Mapping[str, Any], file: str) -> dict[str, Mapping[str, Any]]:
    here = {key: content[key] for key in (*SPLITS, *PLACE) if key in content}
    domains = content.get('domains')
    if domains and here:
        raise UserError(
            f'{file} has domains and {", ".join(here)} beside them: put these into the domain that '
            'they belong to'
        )
    if domains:
        for name in domains:
            if not fits(name, Name) or name in _RESERVED:
                raise UserError(
                    f'domains.{name}: expected a name of {words(Name)}, other than "mean"; rename '
                    f'the domain in {file}'
                )
        return dict(domains)
    if not here:
        raise UserError(
            f'{file} names no images: give domains: {{day: {{train: {{images: DIR, labels: DIR}}, '
            'val: {...}}}}}, or images and labels'
        )
    return {content['name']: here}


def _sources(
    content: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]], file: str
) -> list[str]:
    said = content.get('source')
    if said is not None:
        names = [said] if isinstance(said, str) else list(said)
        for name in names:
            if name not in nodes:
                raise UserError(
                    f'source={name!r} is no domain; {near_misses(name, nodes)}; correct it in '
                    f'{file}'
                )
        return names
    trained = [name for name, node in nodes.items() if 'train' in node or 'split' in node]
    if not trained and len(nodes) > 1:
        raise UserError(
            f'{file}: none of the domains {", ".join(nodes)} has train or split: name those that '
            f'train, such as source: {next(iter(nodes))}'
        )
    return trained or list(nodes)


def _domain(
    name: str, node: Mapping[str, Any], trains: bool, content: Mapping[str, Any], file: str
) -> OwnDomain:
    common = {key: content[key] for key in FILES if key in content}
    common |= {key: node[key] for key in (*FILES, *PLACE) if key in node}
    place = f'domains.{name}' if 'domains' in content else name
    said = {split: _files(node[split], common, f'{place}.{split}', file) for split in SPLITS
            if split in node}  # fmt: skip
    rule = node.get('split', content.get('split') if trains else None)
    if not said:
        said = {'train' if trains or rule else 'test': _files({}, common, place, file)}
    if rule is not None:
        said = _divided(said, {**DEFAULT_RULE, **rule}, place, file)
    if trains and 'train' not in said:
        raise UserError(f'{place}.train is missing: {name} is a source; name its training images')
    if trains and 'val' not in said:
        raise UserError(
            f'{place}.val is missing: the best checkpoint is chosen on images that do not train; '
            'name a folder of them, or give split: {val: 0.2, by: sequence} for a part of train; '
            f'add it to {file}'
        )
    if not trains and not {'val', 'test'} & said.keys():
        raise UserError(
            f'{place} has train alone, and {name} is no source: name its images val or test, or '
            f'add it to source in {file}'
        )
    return OwnDomain(name, trains, said)


def _files(said: Any, common: Files, place: str, file: str) -> Files:
    """Returns the arguments of the data set of one split."""
    if isinstance(said, str):
        labels = said.replace('images', 'labels', 1)
        if labels == said:
            raise UserError(
                f'{place}={said!r}: expected a folder whose path has the word images, where the '
                f'labels have labels; give {{images: DIR, labels: DIR}} in {file}'
            )
        said = {'images': said, 'labels': labels}
    given = {**common, **said}
    if 'csv' in given and {'images', 'labels', 'list'} & given.keys():
        raise UserError(
            f'{place} has csv and folders: a csv names all files of the split; leave one out in '
            f'{file}'
        )
    if 'csv' not in given:
        for key in ('images', 'labels'):
            if key not in given:
                raise UserError(
                    f'{place}.{key} is missing: expected the folder of the {key}, relative to '
                    f'{file}; add it'
                )
    folders = {'img_path': given.get('images'), 'seg_map_path': given.get('labels')}
    arguments = {
        'data_prefix': None if 'csv' in given else folders,
        'ann_file': given.get('list'),
        'csv': given.get('csv'),
        'img_suffix': given.get('image_suffix'),
        'seg_map_suffix': given.get('label_suffix'),
        'extra_labels': True if 'list' in given else None,
        'hint': f'named by {place} in {Path(file).name}',  # without a place on this machine
    }
    rest = {key: given[key] for key in ('skip', 'orientation', 'wrong_size', 'max_value')
            if key in given}  # fmt: skip
    return {key: value for key, value in {**arguments, **rest}.items() if value is not None}


def _divided(
    said: Mapping[str, Files], rule: Mapping[str, Any], place: str, file: str
) -> dict[str, Files]:
    """Returns the splits with the parts of train that the rule makes."""
    parts: Sequence[str] = ['val', *(['test'] if 'test' in rule else [])]
    twice = [part for part in parts if part in said]
    if 'train' not in said or twice:
        raise UserError(
            f'{place}.split divides train, and {twice[0] if twice else "train"} is '
            f'{"there already" if twice else "missing"}: leave split or the folders out in {file}'
        )
    whole = said['train']
    return {**said, **{part: {**whole, 'part': part, 'rule': dict(rule)}
                       for part in ('train', *parts)}}  # fmt: skip


__all__ = ['DEFAULT_RULE', 'DOMAIN', 'OwnDomain', 'read_domains']
