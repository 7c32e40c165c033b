"""The limits of arguments: of one name in every class, or of one class.

They add to the annotations of a class, which say types alone or nothing. An argument may be None
where its default is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from mmengine.registry import DATASETS, MODELS, TRANSFORMS, VISBACKENDS

from rein_seg.config.schema import kinds
from rein_seg.config.schema.forms import Built, Each, Form, Name, Named, OneOf, Table
from rein_seg.config.schema.keys import BANDS, SPLIT_RULE, TEST_CFG
from rein_seg.config.schema.kinds import Size, Text, Weight
from rein_seg.registry import PEFT_METHODS
from rein_seg.rules import ABOVE_0, NOT_EMPTY, NotNegative, Positive, Probability, at_least, at_most

_SIDES = kinds.Pixels | kinds.Area
_PAIR = Size | tuple[Size, Size]
_INDEXES = int | Sequence[int]
_FACTORS = Sequence[Annotated[float, ABOVE_0, at_most(64)]]
_CHANNELS = Sequence[float]

# argument -> its values in every class
NAMES: Mapping[str, Form] = {
    # optimizers and schedules
    'lr': kinds.Rate,
    'weight_decay': kinds.Decay,
    'betas': tuple[kinds.BelowOne, kinds.BelowOne],
    'eps': Annotated[float, ABOVE_0, at_most(1)],
    'momentum': Probability,
    'dampening': Probability,
    'accumulative_counts': kinds.Iterations,
    'param_name': Text,
    'begin': kinds.Index,
    'end': kinds.Iterations | None,  # None is the end of the run
    'eta_min': kinds.Decay,
    'eta_min_ratio': Probability,
    'start_factor': kinds.Share,
    'end_factor': kinds.Share,
    'factor': kinds.Share,
    'power': Annotated[float, at_least(0), at_most(100)],
    'T_max': kinds.Iterations,
    'milestones': Sequence[kinds.Iterations],
    # loops and hooks
    'max_iters': kinds.Iterations | None,
    'max_epochs': kinds.Iterations,
    'val_interval': kinds.Iterations | None,
    'val_begin': kinds.Iterations,
    'interval': kinds.Iterations,
    'patience': kinds.Iterations,
    'monitor': Text,
    'rule': kinds.Better,
    'dtype': kinds.Precision,
    'collect_device': Literal['cpu', 'gpu'],
    # data
    'domain': Text,
    'split': str,
    'data_root': str,
    'count': kinds.Iterations,
    'seed': kinds.Seed,
    'times': kinds.Iterations,
    'ignore_index': int,
    'max_refetch': kinds.Index,
    'hold_out': Annotated[int, at_least(2)],
    'temperature': Positive,
    'min_pixels': kinds.Index,
    'workers': kinds.Workers,
    'prob': Probability,
    'rotate_prob': Probability,
    'flip_prob': Probability,
    'crop_size': _SIDES,
    'cat_max_ratio': kinds.Share,
    'max_size': kinds.Pixels,
    'ratio_range': tuple[Positive, Positive],
    'brightness_delta': Annotated[int, at_least(0), at_most(255)],
    'contrast_range': kinds.Rising,
    'saturation_range': kinds.Rising,
    'hue_delta': Annotated[int, at_least(0), at_most(180)],
    'mean': _CHANNELS,
    'std': Sequence[Positive],
    'pad_val': float | Mapping[str, Any],
    'seg_pad_val': kinds.Level,
    # models
    'num_classes': Size,
    'in_channels': Size | Sequence[Size],
    'out_channels': Size,
    'channels': Size,
    'embed_dims': Size | Sequence[Size],
    'num_layers': Size,
    'num_heads': Size | Sequence[Size],
    'feedforward_channels': Size,
    'depth': Size,
    'depths': Sequence[Size],
    'patch_size': _PAIR,
    'img_size': _SIDES,
    'window_size': _PAIR,
    'neck_channels': Size,
    'num_stages': Size,
    'strides': Sequence[Size],
    'dilations': Sequence[Size],
    'base_channels': Size,
    'stem_channels': Size,
    'num_registers': kinds.Index,
    'drop_rate': kinds.BelowOne,
    'drop_path_rate': kinds.BelowOne,
    'dropout_ratio': kinds.BelowOne,
    'ffn_ratio': Positive,
    'mlp_ratio': Positive,
    'layer_scale_init_value': float,
    'norm_eval': bool,
    'act_cfg': OneOf((Built(MODELS), None)),
    'conv_cfg': OneOf((Built(MODELS), None)),
    'norm_cfg': OneOf((Built(MODELS, extra={'requires_grad': bool}), None)),
    'checkpoint': Text,
    'init_seed': kinds.Seed,
    'init_filters': bool,
    'name': Text,
    'feat_channels': Size,
    'num_queries': Size,
    'query_dims': Size,
    'encoder_layers': Size,
    'decoder_layers': Size,
    'encoder_hidden': Size,
    'decoder_hidden': Size,
    'hidden': Size,
    'hidden_dims': Size,
    'iou_hidden': Size,
    'iou_outputs': Size,
    'downsample': Size,
    'norm_eps': Positive,
    'norm_groups': Size,
    'num_groups': Size,
    'num_points': Annotated[int, at_least(1), at_most(2**22)],
    'num_tokens': Size,
    'rank': Annotated[int, at_most(2**17)],
    'reduction': Any,  # a word in losses, a number in methods
    'num_convs': kinds.Index,
    'kernel_size': Size,
    'dilation': Size,
    'pool_scales': Sequence[Size],
    'factors': _FACTORS,
    'threshold': Probability,
    # losses
    'loss_weight': Weight,
    # no path: mmseg reads it by mmengine.load, which unpickles and asks the network
    'class_weight': Weight | Sequence[Weight],
    'mask_weight': Weight,
    'dice_weight': Weight,
    'no_object_weight': Weight,
    'cost_weights': tuple[Weight, Weight, Weight],
    'oversample': Annotated[float, at_least(1), at_most(64)],
    'uncertain_share': Probability,
    'loss_name': Text,
    'beta2': Positive,
}

_INPUT_BANDS = Table(
    {
        'names': Sequence[Text],
        'first_layer': Literal['repeat', 'average', 'stored'],
        'train_input': bool,
    }
)
# keys of a class's config that are read before it is built
_ENCODER: Mapping[str, Form] = {
    'checkpoint': Text | None,
    'checkpoint_url': Text | None,
    'pretrained': bool | str | None,
    'init_seed': kinds.Seed | None,
    'init_filters': bool,
    'name': Text | None,
    'mean': _CHANNELS | None,
    'std': Sequence[Positive] | None,
    'bands': OneOf((_INPUT_BANDS, None)),
}
_METAINFO = Table({'classes': Sequence[str], 'palette': Sequence[Sequence[int]]}, closed=False)
_NEVER = kinds.OrNever
_MODEL = Built(MODELS)
_TASKS = Named(
    Table(
        {
            'classes': Annotated[Sequence[Text], NOT_EMPTY] | None,
            'decode_head': OneOf((_MODEL, None)),
            'auxiliary_head': OneOf((_MODEL, Each(_MODEL), None)),
        }
    )
)
_TRANSFORMS = Each(Built(TRANSFORMS))
_SCALE = kinds.Pixels | kinds.Area | Sequence[kinds.Area] | None
_CV2 = Literal['nearest', 'bilinear', 'bicubic', 'area', 'lanczos', 'box', 'hamming']

# class -> argument -> its values; a class has the limits of its parents, too
CLASSES: Mapping[str, Mapping[str, Form]] = {
    'PEFTSegmentor': {
        'backbone': _MODEL,
        'decode_head': _MODEL,
        'neck': OneOf((_MODEL, None)),
        'auxiliary_head': OneOf((_MODEL, Each(_MODEL), None)),
        'data_preprocessor': OneOf((_MODEL, None)),
        'text': OneOf((_MODEL, None)),
        'num_classes': Annotated[int, at_least(1), at_most(2**16)],
        'crop_size': kinds.Area | None,
        'test_cfg': OneOf((TEST_CFG, None)),
        'multi_scale': Literal['one', 'each'] | None,
        'multi_scale_ratios': _FACTORS,
        'init_cfg': Any,
    },
    'PEFTImageModel': {
        'backbone': _MODEL,
        'head': _MODEL,
        'data_preprocessor': OneOf((_MODEL, None)),
        'text': OneOf((_MODEL, None)),
        'num_classes': Annotated[int, at_least(1), at_most(2**16)],
        'test_cfg': OneOf((Table({}, closed=False), None)),
        'init_cfg': Any,
    },
    'TwoStageSegmentor': {'regions': _MODEL},
    'RegionCLIP': {
        'encoder': OneOf((Built(MODELS, extra=_ENCODER), None)),
        'text': OneOf((_MODEL, None)),
    },
    'MultiTaskSegmentor': {'decode_head': OneOf((_MODEL, None)), 'tasks': OneOf((_TASKS, None))},
    'AdversarialSegmentor': {'critic': OneOf((_MODEL, None)), 'background': kinds.Index},
    'Critic': {'encoder': Built(MODELS, extra=_ENCODER)},
    'PEFTBackbone': {
        'encoder': Built(MODELS, extra=_ENCODER),
        'peft': OneOf((Built(PEFT_METHODS), Each(Built(PEFT_METHODS), least=1))),
        'init_cfg': None,
    },
    'TextBranch': {
        'classes': Annotated[Sequence[Text], NOT_EMPTY] | None,
        'unseen': Sequence[Text] | None,
        'names': OneOf((Named(OneOf((Annotated[Sequence[Text], NOT_EMPTY], Text))), None)),
    },
    'CascadeHead': {'heads': Each(_MODEL, least=2)},
    # None: at the end of each epoch; last: at the end of the run
    'IterBasedTrainLoop': {'val_interval': kinds.Iterations | Literal['last'] | None},
    'CheckpointHook': {
        'interval': _NEVER | None,
        'max_keep_ckpts': _NEVER,
        'save_best': kinds.Scores | None,
        'rule': kinds.Better | Sequence[kinds.Better] | None,
        'save_begin': kinds.Index,
        'filename_tmpl': Literal['iter_{}.pth'] | None,  # --resume looks for these names
    },
    'LogProcessor': {'window_size': kinds.Iterations},
    'LoggerHook': {'interval_exp_name': kinds.Iterations},
    'SegVisualizationHook': {'wait_time': NotNegative},
    'TrainableEMAHook': {'momentum': float, 'begin': kinds.Index},
    'Visualizer': {
        'vis_backends': OneOf((Each(Built(VISBACKENDS)), None)),
        'alpha': Probability,
        'save_dir': Text | None,
    },
    '_BatchNorm': {'momentum': Probability | None},
    'BinaryFolderDataset': {'threshold': kinds.Level | None},
    'FolderDataset': {'rule': OneOf((SPLIT_RULE, None))},
    'DrawnDataset': {'size': kinds.Area},
    'ConcatDataset': {'datasets': Each(Built(DATASETS), least=1)},
    'RepeatDataset': {'dataset': Built(DATASETS)},
    'BaseSegDataset': {
        'pipeline': _TRANSFORMS,
        'metainfo': OneOf((_METAINFO, None)),
        'indices': kinds.Iterations | Annotated[Sequence[kinds.Index], NOT_EMPTY] | None,
        'ignore_index': kinds.Level,
    },
    'DomainDataset': {'bands': OneOf((BANDS, None))},
    'Resize': {
        'scale': _SCALE,
        'scale_factor': Positive | tuple[Positive, Positive] | None,
        'interpolation': _CV2,
        'backend': Literal['cv2', 'pillow'],
    },
    'ResizeShortestEdge': {'scale': _SCALE},
    'RandomResize': {'scale': _SCALE, 'resize_type': Name(TRANSFORMS)},
    'RandomChoiceResize': {
        'scales': Sequence[kinds.Pixels | kinds.Area],
        'resize_type': Name(TRANSFORMS),
    },
    'RandomFlip': {'prob': Probability | Sequence[Probability] | None},
    'Pad': {'size': kinds.Area | None, 'size_divisor': Size | None},
    'SegDataPreProcessor': {'size': kinds.Area | None, 'size_divisor': Size | None},
    'TimmEncoder': {'pretrained': bool | str},
    'TimmStages': {'pretrained': bool | str},
    'ResNet': {'frozen_stages': Annotated[int, at_least(-1)]},
    'BaseDecodeHead': {
        'loss_decode': OneOf((_MODEL, Each(_MODEL, least=1))),
        'in_channels': Size | Sequence[Size],
        'in_index': _INDEXES,
        'threshold': Probability | None,
        'align_corners': bool,
    },
    'DuATHead': {
        'loss_decode': OneOf((_MODEL, Each(_MODEL, least=1), None)),
        'checkpoint': Text | None,
    },
    'SAMHead': {'loss_decode': OneOf((_MODEL, Each(_MODEL, least=1), None))},
    'FocalLoss': {'gamma': Any, 'alpha': Any},
}

# not read: mmseg hands them on as they are
UNREAD = frozenset({'init_cfg', 'sampler', 'train_cfg', 'metainfo'})
# classes that hand further arguments to the class that one of theirs names
DELEGATES = {'RandomChoiceResize': 'resize_type', 'RandomResize': 'resize_type'}
# classes that would swallow a misspelt argument
CLOSED = frozenset({'CheckpointHook'})
# numbers without an end
INFINITE = frozenset({'norm_type'})
