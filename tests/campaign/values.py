"""Wrong values of a config, wrong words and options, and config files with faults."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from rein_seg.registry import PEFT_METHODS
from tests.campaign.case import Case
from tests.config.wrong_values import VALUES, WORDS, write_base
from tests.run.tiny_run import write_config

KIND = 'config values'

# name -> (text of a config file, regular expression of the line)
FILES: dict[str, tuple[str | bytes, str]] = {
    'a word with two letters swapped': ('max_itres = 3\n', "'max_itres'.*'max_iters'"),
    'a word that nothing reads': ('my_size = 3\n', "'my_size', which nothing reads"),
    'a word of another framework': ('total_epochs = 3\n', "'total_epochs', which nothing reads"),
    'a section with a slip': ('optim_wraper = dict(a=1)\n', "'optim_wraper'.*'optim_wrapper'"),
    'a variable set too late': ("encoder = dict(type='TinyViT')\n", "sets 'encoder' too late"),
    'a value of the wrong type': ("max_iters = 'ten'\n", "max_iters='ten': expected.*x.py"),
    'a value with no end': ("optim_wrapper = dict(optimizer=dict(lr=float('nan')))\n", 'lr=nan'),
    'a type that is an object': ('model = dict(type=object())\n', 'model.type=<object'),
    'a set for a list': ('custom_hooks = {1}\n', 'custom_hooks=.1.: expected a list'),
    'a key that is a number': ('model = {1: 2}\n', 'model'),
    'a dict for a list': ('custom_hooks = dict(a=1)\n', 'custom_hooks'),
    'a list for a dict': ('model = [1]\n', 'model'),
    'a bracket that is open': ('model = dict(\n', 'line 2: SyntaxError'),
    'two statements in a line': ('max_iters = 3 x = 4\n', 'line 2: SyntaxError'),
    'an indent': ('  max_iters = 3\n', 'line 2: IndentationError'),
    'a tab among spaces': ('if 1:\n        a = 1\n\tb = 2\n', 'TabError|IndentationError'),
    'another language': ('{"max_iters": 3\n', 'line 2: SyntaxError'),
    'a name that is not defined': ('max_iters = ITERS\n', "line 2: NameError.*'ITERS'"),
    'a key of a base that it lacks': ('x = _base_.modle\n', "line 2: .*'modle'"),
    'an index out of range': ('x = [][3]\n', 'line 2: IndexError'),
    'a division by zero': ('max_iters = 1 // 0\n', 'line 2: ZeroDivisionError'),
    'a file that is missing': ("x = open('none.txt')\n", 'line 2: FileNotFoundError'),
    'a module that is missing': ("x = __import__('nowhere')\n", 'line 2: ModuleNotFoundError'),
    'an exit': ('exit()\n', 'line 2: SystemExit'),
    'an exception of its own': (
        "raise ValueError('too\\nsmall')\n",
        'line 2: ValueError: too small',
    ),
    'a recursion': ('f = lambda: f()\nf()\n', 'RecursionError'),
    'deep brackets': ('x = ' + '[' * 5000 + '\n', 'line 2: SyntaxError'),
    'a reserved name': ("text = 'a'\n", "'text' is reserved"),
    'a dict over a number': ('max_iters = dict(a=1)\n', 'max_iters'),
    'a null byte': (b'max_iters = 3\0\n', 'null byte'),
    'latin-1': ('# Größe\n'.encode('latin-1'), 'is not UTF-8: byte'),
    'UTF-16': ('max_iters = 3\n'.encode('utf-16'), 'is not UTF-8: byte 21'),
    'a picture': (b'\x89PNG\r\n\x1a\n\0\0\0', 'is not UTF-8: byte 21'),
    'a benchmark with a slip': ("benchmark = 'miniscape'\n", "did you mean 'miniscapes'"),
    'a benchmark that is a list': ("benchmark = ['miniscapes']\n", 'benchmark'),
    'imports that are missing': ("custom_imports = dict(imports=['no_such'])\n", "'no_such'"),
    'imports of the wrong type': ('custom_imports = 3\n', 'custom_imports=3: expected a dict'),
    'imports with a slip': ("custom_imports = dict(import_=['a'])\n", "key 'import_'"),
    'an import that raises': (
        "__import__('sys').path.insert(0, '.')\ncustom_imports = dict(imports=['broken'])\n",
        "'broken'.*ZeroDivisionError",
    ),
    'a protocol that is missing': ("protocol = 'mine'\n", "protocol='mine'"),
    'a protocol with a slip': ('protocols = dict(a=dict(max_itres=3))\n', "key 'max_itres'"),
    'a protocol of nothing': ("protocols = dict(a=dict(base='b'))\nprotocol = 'a'\n", "'b'"),
    'a hook of another kind': ("custom_hooks = [dict(type='AdamW')]\n", 'optimizer, not as hook'),
    'a hook without a type': (
        'custom_hooks = [dict(priority=3)]\n',
        "custom_hooks.0 has no 'type'",
    ),
    'a step without a type': (
        'train_dataloader = dict(dataset=dict(pipeline=[dict(prob=1)]))\n',
        "pipeline.0 has no 'type'",
    ),
    'a hook without an argument': ("custom_hooks = [dict(type='EMAHook', a=1)]\n", "'a'|EMAHook"),
    'two averages': (
        "ema = dict(momentum=0.1)\ncustom_hooks = [dict(type='TrainableEMAHook')]\n",
        'TrainableEMAHook',
    ),
    'two lengths': ('max_iters = 4\ntrain_cfg = dict(max_iters=5)\n', 'max_iters=4.*=5'),
    'a metric of no domain': ("val_evaluator = dict(targets=['nihgt'])\n", "'nihgt'.*'night'"),
    'a head without a model': ('model = dict(_delete_=True)\n', "model has no 'type'"),
    'a model without a head': (
        "model = dict(_delete_=True, type='PEFTSegmentor', num_classes=19)\n",
        'backbone is missing',
    ),
}
# _base_ -> regular expression
BASES = {
    "'./nowhere.py'": "_base_ './nowhere.py': .*does not exist",
    "['rein_tiny_miniscape']": "did you mean 'rein_tiny_miniscapes'",
    "'./x.py'": 'circle: x.py -> x.py',
    "'./circle.py'": 'circle: x.py -> circle.py -> x.py',
    "'.'": 'is a folder',
    "''": "_base_='': expected a path",
    '3': '_base_=3: expected a path',
    "[['./tiny.py']]": 'expected a path or a list of paths',
    "['./tiny.py', './tiny.py']": 'defined by two of its bases',
    "['./tiny.py', './other.py']": "'max_iters' is defined by two of its bases",
    "f'{1}.py'": 'as plain text',
    "'./broken.py'": 'broken.py., line 1: ZeroDivisionError',
    "'./latin.py'": 'latin.py. is not UTF-8',
}
# YAML and JSON
DATA = {
    'x.yaml: a bracket': ('a: [b\n', 'x.yaml'),
    'x.yaml: a tab': ('_base_: rein_tiny_miniscapes\n\tmax_iters: 3\n', 'x.yaml'),
    'x.yaml: a list': ('- a\n', 'holds no names'),
    'x.yaml: nothing': ('', 'holds no names'),
    'x.yaml: a slip': ('_base_: rein_tiny_miniscapes\nmax_itres: 3\n', "'max_itres'"),
    'x.yaml: a value': ('_base_: rein_tiny_miniscapes\nmax_iters: soon\n', "max_iters='soon'"),
    'x.yaml: a date': ('_base_: rein_tiny_miniscapes\nmax_iters: 2026-01-01\n', 'max_iters='),
    'x.yaml: nan': ('_base_: rein_tiny_miniscapes\nmax_iters: .nan\n', 'max_iters=nan'),
    'x.yaml: a base of itself': ('_base_: x.yaml\n', 'circle: x.yaml -> x.yaml'),
    'x.yaml: a missing base': ('_base_: nowhere.yaml\n', 'nowhere.yaml'),
    'x.json: a comma': ('{"max_iters": 3,}', 'x.json'),
    'x.json: a comment': ('// a\n{}', 'x.json'),
    'x.json: a slip': ('{"_base_": "rein_tiny_miniscapes", "max_itres": 3}', "'max_itres'"),
    'x.json: a value': ('{"_base_": "rein_tiny_miniscapes", "max_iters": -3}', 'max_iters=-3'),
    'x.json: no base': ('{"max_iters": 3}', "has no 'model'"),
    'x.json: latin-1': ('{"a": "ö"}'.encode('latin-1'), 'is not UTF-8'),
    'x.txt: an unknown kind': ('max_iters = 3\n', 'x.txt'),
}
_ENCODER, _HEAD, _PEFT = 'model.backbone.encoder', 'model.decode_head', 'model.backbone.peft'
_SLIDE = ('model.test_cfg.mode=slide',)
# values that fit their keys and not each other -> regular expression
TOGETHER: dict[tuple[str, ...], str] = {
    (f'{_ENCODER}.arch.num_heads=3',): 'encoder.arch has .*num_heads=3',
    (f'{_ENCODER}.arch.embed_dims=33',): 'encoder.arch has embed_dims=33',
    (f'{_ENCODER}.arch=huge',): 'encoder',
    (f'{_ENCODER}.patch_size=7',): 'multiples of its patch, 7',
    (f'{_ENCODER}.patch_size=1000',): 'model.backbone.encoder|patch',
    (f'{_ENCODER}.img_size=7',): 'model.backbone.encoder|img_size',
    (f'{_ENCODER}.out_indices=[0,2]',): 'out_indices',
    (f'{_ENCODER}.out_indices=[]',): 'out_indices|model.backbone.encoder',
    (f'{_ENCODER}.out_indices=[1,0]',): 'out_indices',
    (f'{_ENCODER}.checkpoint=none.pth', f'{_ENCODER}.init_seed=None'): "'none.pth' does not exist",
    (f'{_ENCODER}.checkpoint=.',): 'checkpoint',
    (f'{_ENCODER}.checkpoint=hf:org/vit', f'{_ENCODER}.init_seed=None'): 'REIN_SEG_OFFLINE=1',
    (f'{_ENCODER}.checkpoint=hf:../vit', f'{_ENCODER}.init_seed=None'): 'expected hf:ORG/REPO',
    (f'{_ENCODER}.checkpoint=https://a', f'{_ENCODER}.init_seed=None'): 'ends in a name',
    (f'{_ENCODER}.checkpoint_url=3',): 'checkpoint_url',
    (f'{_ENCODER}.checkpoint=tiny.py',): 'tiny.py',
    (f'{_ENCODER}.mean=[1,2]',): 'mean|data_preprocessor',
    (f'{_ENCODER}.type=mmpretrain.ResNet',): 'encoder',
    (f'{_ENCODER}.type=mmpretrain.VisionTransformer',): 'encoder',
    (f'{_PEFT}.type=LoRA', f'{_PEFT}.targets=[qq]'): 'model.backbone.peft.*qq|qq',
    (f'{_PEFT}.type=LoRA', f'{_PEFT}.rank=0'): 'rank',
    (f'{_PEFT}.type=LoRA', f'{_PEFT}.blocks=[9]'): 'blocks',
    (f'{_PEFT}.num_tokens=1',): 'num_tokens',
    (f'{_PEFT}.link_to_queries=True', f'{_HEAD}.type=FCNHead'): 'queries|decode_head',
    (f'{_HEAD}.type=UPerHead',): 'decode_head',
    (f'{_HEAD}.type=SegformerHead',): 'decode_head',
    (f'{_HEAD}.type=PEFTSegmentor',): 'decode_head',
    (f'{_HEAD}.num_classes=7',): 'num_classes',
    (f'{_HEAD}.in_channels=7',): 'in_channels|channels|decode_head',
    (f'{_HEAD}.in_index=9',): 'in_index|decode_head',
    ('model.num_classes=7',): '19 classes, the model num_classes=7',
    ('benchmark.num_classes=7',): 'num_classes',
    (*_SLIDE,): 'crop_size|stride',
    (*_SLIDE, 'model.test_cfg.crop_size=[32,32]'): 'stride',
    (*_SLIDE, 'model.test_cfg.crop_size=[64,64]', 'model.test_cfg.stride=[8,8]'): 'larger than the',
    (*_SLIDE, 'model.test_cfg.crop_size=[16,16]', 'model.test_cfg.stride=[64,64]'): 'stride',
    (*_SLIDE, 'model.test_cfg.crop_size=[20,20]', 'model.test_cfg.stride=[8,8]'): 'multiples',
    ('optim_wrapper.type=AmpOptimWrapper', 'optim_wrapper.dtype=int8'): 'dtype',
    ('optim_wrapper.optimizer.type=SGD', 'optim_wrapper.optimizer.betas=[0.9,0.99]'): "'betas'",
    ('optim_wrapper.optimizer.type=LBFGS',): '.*',
    ('optim_wrapper.optimizer.fused=True', 'optim_wrapper.optimizer.foreach=True'): 'optim_wrapper',
    ('optim_wrapper.clip_grad.type=value',): 'clip_grad|clip_value',
    ('optim_wrapper.accumulative_counts=1000',): 'accumulative_counts',
    ('param_scheduler.0.end=20', 'param_scheduler.0.begin=30'): 'begins at iteration 30',
    ('param_scheduler.0.begin=4', 'param_scheduler.0.end=4'): 'begins at iteration 4',
    ('param_scheduler.0.param_name=rate',): 'param_name|param_scheduler',
    ('param_scheduler.1.by_epoch=True',): 'by_epoch|param_scheduler',
    ('train_cfg.by_epoch=True',): 'train_cfg',
    ('train_cfg.type=EpochBasedTrainLoop',): 'train_cfg',
    ('train_dataloader.dataset.count=1', 'train_dataloader.drop_last=True',
     'train_dataloader.sampler.type=DefaultSampler'): '1 images make no batch of 2',
    ('train_dataloader.dataset.type=CityscapesDataset',): 'dataset',
    ('train_dataloader.dataset.type=BlobsDataset',): "domain: got 'clear'",
    ('train_dataloader.dataset.domain=clera',): "'clera'.*'clear'",
    ('train_dataloader.dataset.split=trian',): "'trian'.*'train'",
    ('train_dataloader.dataset.size=[65,33]',): 'multiples',
    ('train_dataloader.dataset.size=[1,1]',): '.*',
    ('train_dataloader.sampler.type=RareClassSampler',): 'RareClassSampler: no label',
    ('train_dataloader.batch_sampler.type=AspectRatioBatchSampler',): 'batch_sampler',
    ('train_dataloader.collate_fn.type=nothing',): 'collate_fn',
    ('train_dataloader.num_workers=0', 'train_dataloader.prefetch_factor=2'): 'prefetch_factor',
    ('train_dataloader.num_workers=0', 'train_dataloader.timeout=3'): 'timeout',
    ('val_dataloader.dataset.datasets.0.domain=night',): 'night|domain',
    ('val_evaluator.source=moon',): "'moon'",
    ('val_evaluator.targets=[clear]', 'val_evaluator.source=clear'): 'source and among',
    ('val_evaluator.type=BinarySegMetric',): 'val_evaluator|BinarySegMetric|scores',
    ('val_evaluator.type=IoUMetric',): 'val_evaluator|neither|source',
    ('default_hooks.checkpoint.save_best=clera/mIoU',): "save_best.*'clera/mIoU'",
    ('default_hooks.checkpoint.save_best=mIoU',): 'save_best',
    ('default_hooks.checkpoint.save_best=benchmark',): 'selection',
    ('default_hooks.checkpoint.by_epoch=True',): 'by_epoch',
    ('default_hooks.logger.type=CheckpointHook',): 'logger|CheckpointHook',
    ('custom_hooks.0.type=ParamSchedulerHook',): 'each schedule would step twice',
    ('custom_hooks.0.type=EMAHook',): 'EMAHook',
    ('custom_hooks.0.type=EarlyStoppingHook',): 'monitor|EarlyStoppingHook',
    ('ema.momentum=0',): 'momentum',
    ('ema.momentum=2',): 'momentum',
    ('ema.begin=1000',): 'begin',
    ('data_root=/dev/null',): '/dev/null',
    ('data_root=tiny.py',): 'data_root|tiny.py',
    ('load_from=none.pth',): "'none.pth'",
    ('load_from=tiny.py',): 'tiny.py',
    ('load_from=x.safetensors',): 'x.safetensors',
    ('resume=True',): 'resume|checkpoint',
    ('work_dir=tiny.py',): 'tiny.py',
    ('work_dir=/proc/none',): '/proc',
    ('model_wrapper_cfg.type=Wrapper',): "'Wrapper'",
    ('visualizer.save_dir=/proc/none',): '/proc/none',
    ('randomness.seed=3', 'randomness.seed=-3'): 'randomness.seed=-3',
}  # fmt: skip

_LOAD, _LABELS, _PACK = (
    "dict(type='LoadDomainImage')",
    "dict(type='LoadLabels')",
    "dict(type='PackDomainInputs')",
)
# steps between loading and packing -> regular expression
STEPS = {
    "dict(type='RandomCrop', crop_size=(64, 64))": 'RandomCrop: crop_size .64, 64. is larger',
    "dict(type='RandomCrop', crop_size=(0, 32))": 'crop_size=.0, 32.: expected',
    "dict(type='RandomCrop')": 'crop_size is missing: RandomCrop needs it',
    "dict(type='RandomCrop', crop_size=(16, 16), cat_max_ratio=0)": 'cat_max_ratio=0: expected',
    "dict(type='Resize')": 'Resize',
    "dict(type='Resize', scale=(0, 0))": 'scale=.0, 0.: expected',
    "dict(type='Resize', scale='big')": "scale='big': expected",
    "dict(type='Resize', scale=(64, 32), interpolation='cubic')": "interpolation='cubic': expected",
    "dict(type='Resize', scale_factor=-2)": 'scale_factor=-2: expected',
    "dict(type='Resize', scale_factor=0.01)": 'Resize|multiples',
    "dict(type='RandomResize', scale=(64, 32), ratio_range=(2.0, 0.5))": 'RandomResize',
    "dict(type='RandomResize', scale=(64, 32), ratio_range=2)": 'ratio_range=2: expected',
    "dict(type='RandomChoiceResize', scales=[])": 'RandomChoiceResize',
    "dict(type='RandomChoiceResize', scales=[-32])": 'scales=.-32.: expected',
    "dict(type='RandomChoiceResize', scales=[32], resize_type='Size')": "resize_type='Size' is not",
    "dict(type='RandomFlip', prob=0.5, direction='up')": 'direction|RandomFlip',
    "dict(type='RandomFlip', prob=[0.5, 0.9], direction=['horizontal', 'vertical'])": 'RandomFlip',
    "dict(type='RandomRotate', prob=0.5)": 'degree is missing',
    "dict(type='RandomRotate', prob=0.5, degree=-20)": 'degree|RandomRotate',
    "dict(type='RandomRotate', prob=0.5, degree='a')": 'degree|RandomRotate',
    "dict(type='RandomCutOut', prob=0.5, n_holes=-1)": 'RandomCutOut',
    "dict(type='PhotoMetricDistortion', contrast_range=(2, 1))": 'contrast_range=.2, 1.: expected',
    "dict(type='PhotoMetricDistortion', hue_delta=1000)": 'hue_delta=1000: expected',
    "dict(type='Pad')": 'Pad',
    "dict(type='CLAHE', clip_limit='a')": 'CLAHE|clip_limit',
    "dict(type='LoadImageFromFile', to_float32=3)": 'to_float32',
    "dict(type='BioMedicalGaussianNoise', prob=3)": 'prob=3: expected',
    "'RandomFlip'": "pipeline.2='RandomFlip': expected a dict with a type",
    "dict(RandomFlip=1)": "pipeline.2 has no 'type'",
}  # fmt: skip
# whole pipelines -> regular expression
PIPELINES = {
    '': 'loads no image',
    _LOAD: 'PackDomainInputs|labels|domain',
    _PACK: 'loads no image|PackDomainInputs',
    f'{_LOAD}, {_PACK}': 'LoadLabels|label|gt_sem_seg',
    f'{_LOAD}, {_LABELS}': 'PackDomainInputs|domain',
    f'{_LABELS}, {_LOAD}': 'PackDomainInputs|domain|LoadLabels',
    f"{_LOAD}, {_LABELS}, {_PACK}, dict(type='RandomFlip', prob=1.0)": 'RandomFlip|pipeline',
}
COMMANDS = {
    'show': ('show', 'CONFIG'),
    'train': ('train', 'CONFIG'),
    'test': ('test', 'CONFIG', 'x.safetensors'),
    'compare': ('compare', 'CONFIG', '--peft', 'LoRA'),
    'count': ('count', 'CONFIG'),
    'merge': ('merge', 'CONFIG', 'x.safetensors', '--out', 'y.pth'),
    'benchmark': ('benchmark', 'CONFIG'),
}
SLIPS = {
    'optim_wrapper.optimizer.lr=-1': 'optimizer.lr=-1: expected',
    'max_itres=3': "max_itres.*did you mean 'max_iters'",
    'model.backbone.peft.type=Lora': "type='Lora' is not registered",
    'model.decode_head.num_clases=3': "takes no 'num_clases'",
    'max_iters': 'expected KEY=VALUE',
    'model.crop_size=[32': 'brackets do not match',
}


def _file(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return name


def _options(*options: str) -> Callable[[Path], list[str]]:
    return lambda folder: ['train', write_base(folder), '--cfg-options', *options]


def _text(text: str | bytes) -> Callable[[Path], list[str]]:
    def prepare(folder: Path) -> list[str]:
        write_config(folder, 'rein_tiny_miniscapes')
        _file(folder, 'broken.py', '1 / 0\n')
        head = b"_base_ = './tiny.py'\n"
        return [
            'train',
            _file(folder, 'x.py', head + (text if isinstance(text, bytes) else text.encode())),
        ]

    return prepare


def _pipeline(steps: str) -> Callable[[Path], list[str]]:
    return _text(f'train_dataloader = dict(dataset=dict(pipeline=[{steps}]))\n')


def _bases(bases: str) -> Callable[[Path], list[str]]:
    def prepare(folder: Path) -> list[str]:
        write_config(folder, 'rein_tiny_miniscapes')
        _file(folder, 'circle.py', "_base_ = './x.py'\n")
        _file(folder, 'other.py', 'max_iters = 3\n')
        _file(folder, 'broken.py', '1 / 0\n')
        _file(folder, 'latin.py', '# ö\n'.encode('latin-1'))
        return ['show', _file(folder, 'x.py', f'_base_ = {bases}\n')]

    return prepare


def cases() -> Iterator[Case]:
    """Yields the cases."""
    for key, values in VALUES.items():
        for value in values:
            yield Case(
                f'value {key}={value}', _options(f'{key}={value}'), says=rf'{re.escape(key)}\b'
            )
    for option, says in WORDS.items():
        yield Case(f'word {option}', _options(option), says=says)
    for name, (text, says) in FILES.items():
        yield Case(f'file: {name}', _text(text), says=says)
    for bases, says in BASES.items():
        yield Case(f'bases: {bases}', _bases(bases), says=says)
    for name, (text, says) in DATA.items():

        def prepare(folder: Path, name=name, text=text) -> list[str]:
            return ['train', _file(folder, name.partition(':')[0], text)]

        yield Case(f'data: {name}', prepare, says=says)
    for steps, says in STEPS.items():
        pipeline = f'{_LOAD}, {_LABELS}, {steps}, {_PACK}'
        yield Case(f'step: {steps}', _pipeline(pipeline), says=says, codes=(2, 74))
    for pipeline, says in PIPELINES.items():
        yield Case(f'pipeline: [{pipeline}]', _pipeline(pipeline), says=says)
    PEFT_METHODS.import_from_location()
    for method in sorted(PEFT_METHODS.module_dict):
        prepare = _text(f"model = dict(backbone=dict(peft=dict(type='{method}', nothing=1)))\n")
        yield Case(f'method {method}: an argument it lacks', prepare, says="takes no 'nothing'")
    for command, words in COMMANDS.items():
        for option, says in SLIPS.items():

            def slip(folder: Path, words=words, option=option) -> list[str]:
                config = write_base(folder)
                return [config if w == 'CONFIG' else w for w in words] + ['--cfg-options', option]

            yield Case(f'{command} with {option}', slip, says=says)
    for options, says in TOGETHER.items():
        name = f'together: {" ".join(options)}'
        yield Case(name, _options(*options), says=says, codes=(2, 74))
