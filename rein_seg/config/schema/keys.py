"""The keys of a config that no class reads: the top level, loaders, loops, plain dicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from mmengine.registry import (
    DATA_SAMPLERS,
    DATASETS,
    FUNCTIONS,
    HOOKS,
    LOG_PROCESSORS,
    LOOPS,
    METRICS,
    MODEL_WRAPPERS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    VISBACKENDS,
    VISUALIZERS,
)

from rein_seg.config.schema import kinds
from rein_seg.config.schema.forms import Built, Each, Form, Name, Named, OneOf, Table
from rein_seg.config.schema.kinds import Count, Text
from rein_seg.rules import Rule, at_least, at_most

TEST_CFG = Table(
    {
        'mode': Literal['whole', 'slide', 'fit_slide'],
        'crop_size': kinds.Area | None,
        'stride': kinds.Area | None,
        'batch_windows': kinds.Batch,
        'window_memory': Count,
        'resize': Literal['bilinear', 'nearest'],
        'keep_scores': bool,
        'keep_logits': bool,
    }
)
# a part of a list of images, see `rein_seg.datasets.files.split_rule`
_PART = Annotated[float, Rule('above 0 and below 1', lambda share: 0 < share < 1)]
SPLIT_RULE = Table(
    {
        'val': _PART,
        'test': _PART,
        'by': Literal['image', 'folder', 'sequence', 'tail'],
        'seed': kinds.Seed,
    }
)
# `rein_seg.bands.Bands` checks the lengths
BANDS = Table(
    {
        'names': Sequence[Text],
        'use': Sequence[Text] | None,
        'mean': Sequence[float] | None,
        'std': Sequence[kinds.Positive] | None,
        'axes': Literal['HWC', 'CHW'] | None,
        'nodata': float | Literal['nan'] | None,
        'value_range': tuple[float, float] | None,
    }
)
_SELECTION = Table({'metric': kinds.Scores, 'rule': kinds.Better})
BENCHMARK = Table(
    {
        'name': Text | None,
        'num_classes': kinds.Size,
        'protocol': str | None,
        'crop_size': kinds.Area | None,
        'test_cfg': OneOf((TEST_CFG, None)),
        'selection': OneOf((_SELECTION, None)),
        'evaluated_as': OneOf((Named(Text), None)),
        'class_weights': Literal['auto'] | Sequence[kinds.Weight] | None,
        'unseen': Sequence[Text],
        'compact': bool,
        'names': Named(Sequence[Text]),
        'bands': OneOf((BANDS, None)),
    }
)
_DATASET = Built(DATASETS)
LOADER = OneOf(
    (
        Table(
            {
                'batch_size': kinds.Batch,
                'num_workers': kinds.Workers,
                'dataset': _DATASET,
                'sampler': Built(DATA_SAMPLERS),
                'batch_sampler': OneOf((Built(DATA_SAMPLERS), None)),
                'collate_fn': OneOf((Built(FUNCTIONS), None)),
                'worker_init_fn': OneOf((Built(FUNCTIONS), None)),
                'num_batch_per_epoch': Count | None,
                'persistent_workers': bool,
                'pin_memory': bool,
                'pin_memory_device': str,
                'drop_last': bool,
                'shuffle': bool | None,
                'timeout': kinds.NotNegative,
                'prefetch_factor': Count | None,
                'multiprocessing_context': str | None,
                'in_order': bool,
            }
        ),
        None,
    )
)
_EVALUATOR = OneOf((Built(METRICS), Each(Built(METRICS)), None))
_MULTIPLIERS = Table({'lr_mult': kinds.Weight, 'decay_mult': kinds.Weight})
PARAMWISE = Table(
    {
        'custom_keys': Named(_MULTIPLIERS),
        'norm_decay_mult': kinds.Weight,
        'bias_decay_mult': kinds.Weight,
        'prefix_lr_mult': Named(kinds.Weight),
        'prefix_warmup': Named(kinds.Share),
        'decay_all': bool,
        'layer_decay': OneOf((Table({'factor': kinds.Share, 'full_blocks': kinds.Index}), None)),
        'late_prefixes': Sequence[Text],
    },
    closed=False,  # its constructor knows the others
)
# inf is the largest gradient; a float of an annotation is finite
_NORM = Annotated[
    Any, Rule('a number from 1, or inf', lambda n: type(n) in (int, float) and n >= 1)
]
CLIP_GRAD = Table(
    {
        'type': Literal['norm', 'value'],
        'max_norm': kinds.Positive,
        'norm_type': _NORM,
        'clip_value': kinds.Positive,
        'error_if_nonfinite': bool,
        'foreach': bool | None,
    }
)
_OPTIM_WRAPPER = {
    'optimizer': Built(OPTIMIZERS),
    'constructor': Name(OPTIM_WRAPPER_CONSTRUCTORS),
    'paramwise_cfg': OneOf((PARAMWISE, None)),
    'clip_grad': OneOf((CLIP_GRAD, None)),
}
# of an adversarial training, for its second optimizer
_CRITIC = {key: form for key, form in _OPTIM_WRAPPER.items() if key != 'constructor'}
_OPTIM_WRAPPER['critic'] = OneOf((Built(OPTIM_WRAPPERS, 'OptimWrapper', _CRITIC), None))
_EMA = Table({'begin': kinds.Index, 'momentum': float})  # the hook checks its range
_RANDOMNESS = Table({'seed': kinds.Seed | None, 'diff_rank_seed': bool, 'deterministic': bool})
_PROCESSES = {
    'mp_start_method': Literal['fork', 'spawn', 'forkserver'],
    'opencv_num_threads': kinds.Workers,
}
_BACKENDS = Literal['nccl', 'gloo', 'mpi', 'ucc', 'xccl', 'hccl', 'cncl', 'mccl', 'smddp']
_ENVIRONMENT = Table(
    {
        'cudnn_benchmark': bool,
        'mp_cfg': OneOf((Table(_PROCESSES), None)),
        'dist_cfg': OneOf(
            (Table({'backend': _BACKENDS, 'timeout': kinds.Seconds}, closed=False), None)
        ),
        'resource_limit': Count,
    }
)
_PRIORITY = Literal[
    'HIGHEST', 'VERY_HIGH', 'HIGH', 'ABOVE_NORMAL', 'NORMAL', 'BELOW_NORMAL', 'LOW', 'VERY_LOW',
    'LOWEST',
]  # fmt: skip
_HOOK = Built(HOOKS, extra={'priority': _PRIORITY | Annotated[int, at_least(0), at_most(100)]})
_LEVELS = Literal['CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG', 'NOTSET']
_COMPARISON = Table(
    {'peft': Any, 'seeds': Sequence[kinds.Seed], 'metrics': Any}, closed=False
)  # `rein_seg.compare.plan` checks it
_IMPORTS = Table({'imports': str | Sequence[str], 'allow_failed_imports': bool})

# `rein_seg.config.definitions.Protocol` knows the keys
PROTOCOL = Table(
    {
        'base': Text,
        'crop_size': kinds.Area | None,
        'batch_size': kinds.Batch | None,
        'gpus': Count | None,
        'train_pipeline': OneOf((Each(Built(TRANSFORMS)), None)),
        'optim_wrapper': OneOf((Built(OPTIM_WRAPPERS, 'OptimWrapper', _OPTIM_WRAPPER), None)),
        'param_scheduler': OneOf((Each(Built(PARAM_SCHEDULERS)), None)),
        'max_iters': kinds.Iterations | None,
        'val_interval': kinds.Iterations | None,
        'selection': OneOf((_SELECTION, Literal['last'], None)),
        'also_selects': Sequence[Text],
        'ema': OneOf((_EMA, None)),
        'multi_scale': Literal['one', 'each'] | None,
        'sampler': Built(DATA_SAMPLERS),
        'source_split': Text | None,
        'test_cfg': OneOf((TEST_CFG, None)),
        'test_pipelines': Named(Each(Built(TRANSFORMS))),
        'left_out': Named(Sequence[str]),
        'not_known': Sequence[str],
    },
    closed=False,
)

# a protocol or a command fills what is open; None leaves it open or switches it off
KEYS: Mapping[str, Form] = {
    'model': Built(MODELS),
    'benchmark': OneOf((BENCHMARK, Text)),
    'protocol': str | None,
    'protocols': OneOf((Named(PROTOCOL), None)),
    'data_root': Text | None,
    'cache_dir': Text | None,
    'expected_images': OneOf((Named(Named(Count)), None)),
    'comparison': OneOf((_COMPARISON, None)),
    'train_dataloader': LOADER,
    'val_dataloader': LOADER,
    'test_dataloader': LOADER,
    'val_evaluator': _EVALUATOR,
    'test_evaluator': _EVALUATOR,
    'max_iters': kinds.Iterations | None,
    'epochs': kinds.Iterations | None,
    'train_cfg': OneOf((Built(LOOPS, 'IterBasedTrainLoop', {'by_epoch': bool}), None)),
    'val_cfg': OneOf((Built(LOOPS, 'ValLoop'), None)),
    'test_cfg': OneOf((Built(LOOPS, 'TestLoop'), None)),
    'optim_wrapper': OneOf((Built(OPTIM_WRAPPERS, 'OptimWrapper', _OPTIM_WRAPPER), None)),
    'param_scheduler': OneOf((Each(Built(PARAM_SCHEDULERS)), None)),
    'auto_scale_lr': OneOf((Table({'base_batch_size': Count, 'enable': bool}), None)),
    'ema': OneOf((_EMA, None)),
    'compile': OneOf((bool, Table({}, closed=False))),
    'default_hooks': OneOf((Named(OneOf((_HOOK, None))), None)),
    'custom_hooks': OneOf((Each(_HOOK), None)),
    'visualizer': OneOf((Built(VISUALIZERS), None)),
    'vis_backends': OneOf((Each(Built(VISBACKENDS)), None)),
    'log_processor': OneOf((Built(LOG_PROCESSORS, 'LogProcessor'), None)),
    'log_level': _LEVELS,
    'env_cfg': _ENVIRONMENT,
    'randomness': _RANDOMNESS,
    'custom_imports': OneOf((_IMPORTS, None)),
    'default_scope': Literal['mmseg'],
    'runner_type': Literal['PEFTRunner'],
    'model_wrapper_cfg': OneOf((Built(MODEL_WRAPPERS), None)),
    'sync_bn': Literal['torch'] | None,
    'load_from': Text | None,
    'new_method': bool,
    'resume': bool,
    'work_dir': Text | None,
    'launcher': Literal['none', 'pytorch'],
    'experiment_name': Text | None,
}
