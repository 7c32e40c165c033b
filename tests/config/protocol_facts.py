"""Loads a config with changes, and reads from it what protocols are about."""

from rein_seg.apis import load_config
from rein_seg.config.resolve import resolve


def load(path, **options):
    return load_config(path, cfg_options={k.replace('__', '.'): v for k, v in options.items()})


def training_deviations(cfg):
    return list(resolve(cfg).deviations.training)


def evaluation_deviations(cfg, use='test'):
    return list(getattr(resolve(cfg).deviations, use))


def selection_text(cfg):
    return resolve(cfg).deviations.selection


def training_record(cfg):
    return resolve(cfg).training_record()


def steps(dataset):
    return {step['type']: step for step in dataset.pipeline}
