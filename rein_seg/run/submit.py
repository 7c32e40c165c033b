"""Predicts the images of a test server, whose labels are not public, and packs the predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine import dist
from mmengine.config import Config
from mmengine.logging import print_log
from mmseg.registry import DATASETS

from rein_seg.checkpoint import write_json
from rein_seg.config.config_paths import datasets_of
from rein_seg.config.deviations import inherited_deviations
from rein_seg.config.image_sizes import check_batch, test_sizes, window_sizes
from rein_seg.config.request import Request
from rein_seg.config.resolve import Resolved, resolve
from rein_seg.config.task import check_segments
from rein_seg.datasets.files.walk import describe
from rein_seg.engine.ranks import setup_distributed
from rein_seg.errors import UserError, near_misses
from rein_seg.evaluation.submission import SubmissionWriter
from rein_seg.run.train import check_model, log_deviations, make_runner
from rein_seg.run.weights import check_weights, load_weights

# steps of a test pipeline for labels alone: predictions have the size of the image's file
_LABEL_STEPS = ('LoadLabels', 'HalveLabel', 'HalveImage', 'ScoreAtInputSize')


@dataclass(frozen=True)
class Server:
    """A test server.

    Attributes:
        layout: Of the data set (`rein_seg.datasets.files.layouts`).
        splits: Domain -> its split; each domain is an archive.
        where: Address for the upload.
        unverified: Parts of its format that were written from memory.
    """

    layout: str
    splits: dict[str, str]
    where: str
    unverified: str = ''


SERVERS = {
    'acdc': Server(
        layout='acdc',
        splits={name: f'{name}/test' for name in ('fog', 'night', 'rain', 'snow')},
        where='acdc.vision.ee.ethz.ch/submit',
        unverified='names (of the images) and values (0 to 18, train ids) of the pictures',
    )
}


def submit(
    cfg: Config,
    weights: str,
    *,
    server: str = 'acdc',
    protocols: Sequence[str] = (),
    folder: str | None = None,
    amp: bool = False,
    launcher: str = 'none',
) -> dict[str, Any]:
    """Predicts a server's test images with the config's windows and resizes, and packs them.

    Args:
        cfg: From `load_config`; its ``data_root`` holds the server's images.
        weights: As for `test`.
        server: A name of `SERVERS`.
        protocols: At most one name, of the protocol to predict under; default the config's.
        folder: For the zips; default ``submit_SERVER`` in the work folder.
        amp: bfloat16 autocast.
        launcher: none, or pytorch under torchrun.

    Returns:
        The content of ``submission.json``, a file beside the zips (main process; an empty dict on
        others).

    Raises:
        UserError: If the server, the protocol or images do not exist, several protocols are given,
            the model has other classes, or the weights do not fit.
    """
    if server not in SERVERS:
        raise UserError(f'--submit {server}: {near_misses(server, SERVERS)}')
    if len(protocols) > 1:
        raise UserError(
            f'--submit packs one set of predictions: give one --protocol of {protocols}'
        )
    check_segments(cfg, '--submit')
    about = SERVERS[server]
    setup_distributed(launcher, cfg)
    protocol = protocols[0] if protocols else None
    request = Request(protocol=protocol, weights_given=True, amp=amp, launcher=launcher)
    run = resolve(cfg, request)
    trained = check_weights(weights)
    # before the loader is replaced: afterwards the protocol's domains are gone
    changed = [*inherited_deviations(run.cfg, trained), *run.deviations.test]
    changed += _resized_as_another(run.cfg, about)
    options = _server_options(run.cfg, about, folder or f'{run.cfg.work_dir}/submit_{server}')
    on_server = resolve(run.cfg, Request(options=options)).cfg
    sizes, found = _check(on_server, about)
    runner = make_runner(on_server)
    check_model(runner, sizes)
    log_deviations(run.protocol, changed)
    runner.logger.info(load_weights(runner.bare_model, weights))
    evaluator = runner.test_on(on_server)
    if not dist.is_main_process():
        return {}
    writer = next(m for m in evaluator.metrics if isinstance(m, SubmissionWriter))
    content = {
        'server': server,
        'upload': about.where,
        'unverified': about.unverified,
        'archives': {domain: path.name for domain, path in writer.archives.items()},
        'images': found,
        'weights_file': Path(weights).name,
        'changed': changed,
        'training': trained,
        **_about_run(run),
    }
    write_json(writer.folder / 'submission.json', content)
    print_log(f'upload to {about.where}: one archive for each condition', logger='current')
    return content


def _about_run(run: Resolved) -> dict[str, Any]:
    cfg = run.cfg
    return {
        'config': Path(cfg.filename).name if cfg.filename else None,
        'benchmark': cfg.benchmark.get('name'),
        'protocol': run.protocol.name or None,
        'not_known': list(run.protocol.not_known),
        'test_cfg': dict(cfg.model.test_cfg),
    }


def _server_options(cfg: Config, about: Server, folder: str) -> dict[str, Any]:
    """Returns options that replace the test data by the server's images."""
    known, first = _tested(cfg)
    datasets = [
        dict(
            type='CityscapesSpaceDataset',
            domain=domain,
            layout=about.layout,
            split=split,
            labelled=False,
            test_mode=True,
            data_root=cfg.get('data_root'),
            pipeline=_without_labels(known.get(domain, first).pipeline),
        )
        for domain, split in about.splits.items()
    ]
    return {
        'test_dataloader.dataset': dict(_delete_=True, type='ConcatDataset', datasets=datasets),
        'test_evaluator': dict(_delete_=True, type='SubmissionWriter', folder=folder),
    }


def _resized_as_another(cfg: Config, about: Server) -> list[str]:
    """Returns the deviations for domains of the server that the config does not test."""
    known, first = _tested(cfg)
    resized_as = first.get('domain')
    return [f'{domain} resized as {resized_as}' for domain in about.splits if domain not in known]


def _tested(cfg: Config) -> tuple[dict[str, Any], Any]:
    """Returns domain -> test data set, and the first data set."""
    known = {dataset.get('domain'): dataset for dataset in datasets_of(cfg, ('test_dataloader',))}
    return known, next(iter(known.values()))


def _without_labels(pipeline: list[Any]) -> list[Any]:
    return [step for step in pipeline if step['type'] not in _LABEL_STEPS]


def _check(cfg: Config, about: Server) -> tuple[dict[str, tuple[int, int]], dict[str, int]]:
    """Returns the sizes that go through the encoder, and the number of images by domain."""
    sizes, found = {}, {}
    for node in cfg.test_dataloader.dataset.datasets:
        dataset = DATASETS.build(node)
        classes = len(dataset.metainfo['classes'])
        if classes != cfg.model.num_classes:
            raise UserError(
                f'--submit {about.layout}: the server takes {classes} classes, the model has '
                f'num_classes={cfg.model.num_classes}: give a model of the 19 Cityscapes classes'
            )
        found[dataset.domain] = len(dataset)
        expected = dataset.expected_images
        if expected is not None and expected != len(dataset):
            print_log(
                f'{dataset.domain}: {len(dataset)} images, expected are {expected}: the server may '
                'refuse the archive',
                logger='current',
            )
        print_log(f'{dataset.domain}: {describe(dataset.left_out)}', logger='current')
        images = test_sizes(dataset)
        check_batch(
            images,
            cfg.test_dataloader.get('batch_size') or 1,
            f'--submit, domain {dataset.domain!r}',
        )
        windows = window_sizes(images, cfg.model.get('test_cfg') or {}, dataset.domain)
        for size, image in windows.items():
            sizes[f'--submit, domain {dataset.domain!r}, image {image!r}'] = size
    return sizes, found
