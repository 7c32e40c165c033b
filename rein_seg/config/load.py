"""Reads a config for a run, under its own protocol or another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from rein_seg.config.read import Generated
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve


def load_config(
    path: str | Generated,
    *,
    work_dir: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
) -> Config:
    """Returns the resolved config of a file; `resolve` has the order of its steps.

    Args:
        path: Config file, name of a shipped config, or a generated text.
        work_dir: Folder of the run; default ``work_dirs/<config name>``.
        cfg_options: Dotted names -> values, as from ``--cfg-options``.

    Raises:
        UserError: If the file is missing, an option goes into something that is not a dict, a
            registered name is unknown, or anything else in it is wrong.
    """
    return resolve(path, Request(work_dir=work_dir, options=cfg_options or {})).cfg


def with_protocol(cfg: Config, name: str) -> Config:
    """Returns a copy of a resolved config under another protocol of its benchmark.

    Raises:
        UserError: If the benchmark has no such protocol.
    """
    return resolve(cfg, Request(protocol=name)).cfg
