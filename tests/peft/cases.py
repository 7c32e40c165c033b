"""Every method the contract tests run: a new method is one row."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    name: str
    cfg: dict | list[dict]
    merges: bool = True
    families: tuple[str, ...] | None = None  # None: every family
    without: tuple[str, ...] = ()  # starts of names of families that lack the sites
    not_into: tuple[str, ...] = ()  # families whose weights cannot hold a method that merges
    tags: tuple[str, ...] = field(default=())
    # how far from the frozen encoder an inexact start may be, of its largest value; None: anywhere
    start: float | None = 0.004
    batch_tolerance: float = 1e-4  # of an image alone against the same image in a batch
    needs: str | None = None  # a package that may be missing
    classes: int | None = None  # number of classes whose text each pass brings


# no operation of these can be updated: weights are standardised when they are used
NO_OPS = ('resnetv2',)
# no layers fc1 and fc2, no attention, no tokens
CONVOLUTIONS = ('resnet', 'ddrnet', 'efficientnet', 'regnet')
CASES = [
    Case('frozen', dict(type='Frozen')),
    Case('full', dict(type='Full')),
    Case(
        'full_norm_eval',
        dict(type='Full', norm_eval=True),
        families=('resnet', 'resnet_ibn', 'ddrnet'),
    ),
    Case('lora', dict(type='LoRA', rank=4, alpha=8), without=NO_OPS),
    Case(
        'lora_qv',
        dict(type='LoRA', targets=['q', 'v'], rank=4),
        families=('vit', 'dinov2', 'dinov3', 'eva02'),
    ),
    Case(
        'lora_blocks',
        dict(type='LoRA', targets=['fc1'], rank=2, blocks=[-1]),
        without=CONVOLUTIONS,
    ),
    Case(
        'lora_patch',
        dict(type='LoRA', targets=['patch', 'fc2'], rank=2),
        without=(*CONVOLUTIONS, 'hlg'),
    ),
    Case(
        'lora_windows',
        dict(type='LoRA', targets=['q', 'proj', 'merge'], rank=2),
        families=('swin',),
    ),
    Case(
        'lora_cpe',
        dict(type='LoRA', targets=['q', 'v', 'cpe', 'patch'], rank=2, conv_form='kernel'),
        families=('pgt',),
    ),
    Case(
        'lora_convolving',
        dict(type='LoRA', targets=['patch', 'fc3', 'smooth', 'v'], rank=2),
        families=('hlg',),
    ),
    Case(
        'lora_gate',
        dict(type='LoRA', targets=['gate', 'proj'], rank=2),
        families=('dinov2_swiglu', 'eva02', 'aimv2'),
    ),
    Case(
        'lora_kernel',
        dict(type='LoRA', targets=['dw', 'fc2', 'merge'], rank=2, conv_form='kernel'),
        families=('convnext', 'convnext_conv'),
    ),
    Case('dora', dict(type='DoRA', rank=4), without=NO_OPS),
    Case(
        'dora_parts',
        dict(type='DoRA', targets=['k', 'proj', 'fc2', 'patch'], rank=2, rank_stabilized=True),
        families=('dinov2', 'sam', 'swin'),
    ),
    Case('vera', dict(type='VeRA', rank=8), without=('resnet', 'ddrnet', 'regnet')),
    Case(
        'vera_downsample',
        dict(type='VeRA', targets=['downsample'], rank=8, seed=1),
        families=('resnet', 'ddrnet'),
    ),
    Case('pego', dict(type='PEGO', rank=2, groups=3), without=NO_OPS),
    Case('kasa', dict(type='KaSA', rank=2), start=0.2, without=(*NO_OPS, 'resnet_ibn')),
    # an instance norm magnifies a change of a narrow map
    Case('kasa_instance_norms', dict(type='KaSA', rank=2), start=0.4, families=('resnet_ibn',)),
    Case('soma', dict(type='SoMA', rank=4), without=NO_OPS),
    Case(
        'soma_principal',
        dict(
            type='SoMA', rank=3, alpha=6, blocks=[0, -1], components='principal', train_bias=False
        ),
        families=('dinov2', 'resnet', 'ddrnet', 'swin'),
    ),
    Case(
        'soma_random_start',
        dict(type='SoMA', rank=4, random_start=True),
        families=('vit', 'convnext'),
        start=0.05,
    ),
    Case('svf', dict(type='SVF'), without=NO_OPS),
    Case(
        'svf_parts',
        dict(type='SVF', targets=['q', 'v', 'fc2', 'patch']),
        families=('vit', 'eva02', 'sam', 'swin'),
    ),
    Case(
        'ssf',
        dict(type='SSF'),
        start=0.2,
        without=(*NO_OPS, 'hlg', 'ddrnet', 'swinv2'),
        not_into=('aimv2',),
    ),
    # behind its branches norms magnify what changes in them
    Case('ssf_post_norm', dict(type='SSF'), start=None, families=('swinv2',)),
    # with random weights what its batch norms get is small beside a shift
    Case('ssf_batch_norms', dict(type='SSF'), start=0.6, families=('hlg', 'ddrnet')),
    Case('ssf_exact', dict(type='SSF', init_std=0), not_into=('aimv2',)),
    Case(
        'ssf_roles',
        dict(type='SSF', targets=['conv1', 'bn2', 'downsample', 'stem']),
        families=('resnet',),
        start=0.2,
    ),
    Case('bitfit', dict(type='BitFit')),
    Case('norm_tuning', dict(type='BitFit', targets=['norm', 'norm_bias'])),
    Case(
        'bitfit_all',
        dict(
            type='BitFit', targets=['bias', 'norm', 'norm_bias', 'scale', 'pos', 'token', 'weight']
        ),
    ),
    Case(
        'bitfit_blocks',
        dict(type='BitFit', targets=['bias', 'scale', 'norm_bias'], blocks=[-1]),
        without=('aimv2',),
    ),
    Case('rein', dict(type='Rein', num_tokens=5, rank=4, query_dims=8), merges=False),
    Case('rein_full_tokens', dict(type='Rein', num_tokens=5, rank=0, query_dims=8), merges=False),
    Case(
        'rein_unlinked',
        dict(type='Rein', num_tokens=5, rank=4, link_to_queries=False, zero_init=True),
        merges=False,
    ),
    Case(
        'rein_no_softmax',
        dict(type='Rein', num_tokens=5, rank=4, query_dims=8, use_softmax=False),
        merges=False,
    ),
    Case(
        'conv_lora',
        dict(type='ConvLoRA', num_experts=3),
        merges=False,
        without=('convnext', *CONVOLUTIONS),
    ),
    Case(
        'conv_lora_all',
        dict(type='ConvLoRA', targets=['qkv', 'proj', 'fc1', 'fc2'], num_experts=2),
        merges=False,
        families=('sam', 'swin'),
    ),
    Case(
        'conv_lora_parts',
        dict(type='ConvLoRA', targets=['q', 'v', 'fc1'], num_experts=2),
        merges=False,
        families=('hlg',),
    ),
    Case(
        'conv_lora_downsample',
        dict(type='ConvLoRA', targets=['downsample'], num_experts=2),
        merges=False,
        families=('resnet', 'ddrnet'),
    ),
    Case(
        'conv_lora_top2',
        dict(
            type='ConvLoRA', targets=['fc1', 'fc2'], num_experts=3, top_k=2, multiply_by_gates=True
        ),
        merges=False,
        families=('dinov2_registers', 'convnext', 'convnext_conv', 'swin'),
    ),
    Case('adaptformer', dict(type='AdaptFormer', hidden_dims=6), merges=False),
    Case(
        'adaptformer_sequential',
        dict(type='AdaptFormer', hidden_dims=6, form='sequential', norm='in', learn_scale=True),
        merges=False,
        families=('dinov2', 'convnext', 'resnet', 'swin'),
    ),
    Case('adapter', dict(type='Adapter', hidden_dims=6), merges=False),
    Case(
        'adapter_pfeiffer',
        dict(type='Adapter', form='pfeiffer', after_scale=False),
        merges=False,
        families=('dinov2', 'convnext', 'resnet', 'sam'),
    ),
    Case('mona', dict(type='Mona', hidden_dims=6), merges=False, start=0.06),
    Case(
        'mona_prefix',
        dict(type='Mona', hidden_dims=6, prefix='pointwise', zero_init=True),
        merges=False,
        families=('vit', 'dinov2_registers', 'dinov3'),
    ),
    Case('conv_adapter', dict(type='ConvAdapter'), merges=False),
    Case(
        'conv_adapter_k3',
        dict(type='ConvAdapter', reduction=2, kernel_size=3, act='gelu_tanh', zero_init=False),
        merges=False,
        families=('dinov2', 'swin', 'resnet'),
        start=None,
    ),
    Case('fada', dict(type='FADA', num_tokens=5, rank=4, query_dims=8), merges=False),
    Case(
        'fada_channel',
        dict(type='FADA', num_tokens=5, rank=0, mode='channel', link_to_queries=False),
        merges=False,
        families=('dinov2_registers', 'convnext', 'sam'),
    ),
    # a constant spectrum is a peak at one place
    Case('set', dict(type='SET', num_tokens=5, rank=4, query_dims=8), merges=False, start=0.02),
    Case(
        'set_channel',
        dict(type='SET', num_tokens=5, rank=0, mode='channel', link_to_queries=False),
        merges=False,
        families=('dinov2_registers', 'convnext', 'sam'),
        start=0.02,
    ),
    # a block of the tiny ResNet begins with a 3x3 convolution
    Case('rep_adapter', dict(type='RepAdapter', hidden_dims=4), without=('resnet', 'ddrnet')),
    Case(
        'vpt',
        dict(type='VPT', num_tokens=4),
        merges=False,
        without=('convnext', *CONVOLUTIONS, 'swinv2', 'pvtv2'),
        start=None,
    ),
    Case(
        'vpt_shallow',
        dict(type='VPT', num_tokens=7, form='shallow'),
        merges=False,
        families=('vit', 'dinov2_registers', 'eva02', 'beit', 'sam', 'swin', 'hlg'),
        start=None,
    ),
    Case(
        'vpt_project',
        dict(type='VPT', num_tokens=3, project_dims=5),
        merges=False,
        families=('dinov2', 'eva02', 'sam', 'swin', 'hlg'),
        start=None,
    ),
    Case(
        'vpt_blocks',
        dict(type='VPT', num_tokens=3, blocks='first 1'),
        merges=False,
        families=('dinov2', 'eva02', 'sam', 'swin', 'hlg'),
        start=None,
    ),
    Case(
        'vpt_post_norm',
        dict(type='VPT', num_tokens=3, project_dims=5, blocks='last 1', post_norm=True),
        merges=False,
        families=('clip_joint', 'tiny_clip'),
        start=None,
    ),
    Case(
        'cavpt',
        dict(type='CAVPT', num_classes=3, num_static=4, num_learned=2, attention_dims=4),
        merges=False,
        families=('clip_joint', 'tiny_clip'),
        start=None,
        classes=3,
    ),
    Case(
        'cavpt_aware_alone',
        dict(type='CAVPT', num_classes=3, aware_blocks=2, num_learned=3),
        merges=False,
        families=('clip_joint', 'tiny_clip'),
        start=None,
        classes=3,
    ),
    Case(
        'pro_tuning',  # a gate of few units may be dead with random weights
        dict(type='ProTuning', num_stages=2, gate_reduction=2),
        merges=False,
    ),
    Case(
        'pro_tuning_act',
        dict(type='ProTuning', kernel_size=3, groups=2, gate_reduction=1, act='gelu'),
        merges=False,
        families=('dinov2_registers', 'swin', 'resnet'),
    ),
    Case('spm', dict(type='SPM', num_classes=3), merges=False),
    Case(
        'spm_both',
        dict(type='SPM', num_classes=3, feed='both', reduction=4, num_steps=1),
        merges=False,
        families=('dinov3', 'sam', 'convnext'),
    ),
    # rounding moves positions, and white noise differs between neighbours
    Case(
        'frpt',
        dict(type='FRPT', kernel_size=3, grid_size=7, padding=6, width=6.0),
        merges=False,
        without=('swinv2',),  # whose norms behind the branches magnify them
        batch_tolerance=1e-3,
        start=None,
    ),
    Case(
        'frpt_repository',
        dict(type='FRPT', form='repository', grid_size=7, padding=6, width=6.0),
        merges=False,
        batch_tolerance=1e-3,
        families=('vit', 'clip_joint', 'resnet', 'swin', 'convnext'),
        start=None,
    ),
    Case(
        'frpt_lora',
        [dict(type='LoRA', rank=4), dict(type='FRPT', form='repository', official=True)],
        merges=False,
        batch_tolerance=1e-3,
        families=('dinov2', 'swin'),
        start=None,
    ),
    Case(
        'spm_across',
        dict(type='SPM', num_classes=3, recurrence='across', interim_labels='soft', num_steps=1),
        merges=False,
        families=('vit', 'clip', 'resnet_clip'),
    ),
    Case('lora_bitfit', [dict(type='LoRA', rank=4), dict(type='BitFit')], without=NO_OPS),
    Case(
        'composed_in_weights',  # each reads what others change: the bias, the plain output
        [
            dict(type='DoRA', rank=2),
            dict(type='SSF', init_std=0),
            dict(type='SoMA', targets=['fc1', 'fc2'], rank=2, train_bias=False),
            dict(type='BitFit', targets=['bias', 'norm', 'weight']),
        ],
        families=('dinov2', 'eva02', 'convnext', 'sam', 'swin'),
    ),
    Case(
        'composed_in_activations',
        [
            dict(type='Rein', num_tokens=5, rank=4, query_dims=8),
            dict(type='VPT', num_tokens=3, form='shallow'),
            dict(type='ConvLoRA', num_experts=2),
            dict(type='VPT', num_tokens=2),
            dict(type='Mona', hidden_dims=6, zero_init=True),
            dict(type='LoRA', targets=['fc1'], rank=2),
        ],
        merges=False,
        families=('dinov2_registers', 'eva02', 'sam', 'swin'),
        start=None,
    ),
    *(
        Case(
            f'hf_{kind.lower()}',
            dict(type='HFPeft', config=dict(peft_type=kind, **options)),
            needs='peft',
            families=('vit', 'dinov2_swiglu', 'eva02', 'sam', 'swin', 'resnet', 'convnext'),
            without=without,
        )
        for kind, options, without in (
            ('IA3', {}, ()),
            ('LORA', dict(r=4), ()),
            ('LOHA', dict(r=4), ()),
            ('LOKR', dict(r=4), ('resnet', 'convnext')),
            ('OFT', dict(oft_block_size=8), ('resnet', 'convnext')),
            ('BOFT', dict(boft_block_size=4), ('resnet', 'eva02')),
        )
    ),
]


def named(name):
    return next(case for case in CASES if case.name == name)
