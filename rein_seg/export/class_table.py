"""Writes the class embeddings of a config as a file."""

from __future__ import annotations

import os

from mmengine.config import Config

from rein_seg.building import building
from rein_seg.errors import UserError
from rein_seg.models.text_config import build_text
from rein_seg.text import ClassTable


def write_class_table(cfg: Config, path: str | os.PathLike) -> str:
    """Writes the table of a config's classes, which ``text.file`` reads; returns a line about it.

    The file holds the rows, the names and words of the classes, the sentences, and the SHA-256 of
    the text tower and of the rows.

    Args:
        cfg: A config whose ``model.text`` is a `ClassTable`.
        path: Ends in ``.safetensors``; written whole or not at all.

    Raises:
        UserError: If the config has no such table, or the table cannot be made.

    Example:
        >>> from mmengine.config import Config
        >>> from rein_seg.export.class_table import write_class_table
        >>> tower = dict(init_seed=0, width=16, layers=1, heads=2, dims=8, words=['road', 'sky'])
        >>> text = dict(type='ClassTable', classes=['road', 'sky'], templates='name', tower=tower)
        >>> backbone = dict(encoder=dict(type='TinyViT', init_seed=0))
        >>> cfg = Config(dict(model=dict(num_classes=2, backbone=backbone, text=text)))
        >>> write_class_table(cfg, 'table.safetensors')
        '2 classes, 1 sentence a word, width 8, from the text tower sha256:...
    """
    text = cfg.model.get('text')
    if not text or text.get('type') != 'ClassTable':
        found = f'is a {text.get("type")!r}' if text else 'is not there'
        raise UserError(
            f'model.text {found}: expected a ClassTable, whose embeddings do not change; set '
            "model.text=dict(type='ClassTable')"
        )
    with building('model.text'):
        table = build_text(text, cfg.model.backbone.encoder, cfg.model.num_classes)
    assert isinstance(table, ClassTable)
    table.save(path)
    count = len(table.templates)
    return (
        f'{len(table.classes)} classes, {count} sentence{"s" * (count > 1)} a word, width '
        f'{table.dims}, from the text tower {table.source[:19]}'
    )
