"""Every method the contract tests run: a new method is one row."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    name: str
    cfg: dict
    merges: bool = True
    families: tuple[str, ...] | None = None  # None: every family
    without: tuple[str, ...] = ()  # starts of names of families that lack the sites
    start: float = 0.004  # how far an inexact start may be, as a part of the largest feature
    tags: tuple[str, ...] = field(default=())
    needs: str | None = None  # a package that may be missing


CASES = [
    Case('frozen', dict(type='Frozen')),
    Case('full', dict(type='Full')),
    Case('lora', dict(type='LoRA', rank=4, alpha=8)),
    Case(
        'lora_qv',
        dict(type='LoRA', parts=['q', 'v'], rank=4),
        families=('vit', 'dinov2', 'dinov3', 'eva02'),
    ),
    Case(
        'lora_blocks',
        dict(type='LoRA', parts=['fc1'], rank=2, blocks=[-1]),
        without=('resnet',),
    ),
    Case('lora_patch', dict(type='LoRA', parts=['patch', 'fc2'], rank=2), without=('resnet',)),
    Case(
        'lora_windows',
        dict(type='LoRA', parts=['q', 'proj', 'merge'], rank=2),
        families=('swin',),
    ),
    Case(
        'lora_gate',
        dict(type='LoRA', parts=['gate', 'proj'], rank=2),
        families=('dinov2_swiglu', 'eva02'),
    ),
    Case(
        'lora_kernel',
        dict(type='LoRA', parts=['dw', 'fc2', 'merge'], rank=2, conv_form='kernel'),
        families=('convnext', 'convnext_conv'),
    ),
    Case('dora', dict(type='DoRA', rank=4)),
    Case(
        'dora_parts',
        dict(type='DoRA', parts=['k', 'proj', 'fc2', 'patch'], rank=2, rank_stabilized=True),
        families=('dinov2', 'sam', 'swin'),
    ),
    Case('vera', dict(type='VeRA', rank=8), without=('resnet',)),
    Case(
        'vera_downsample',
        dict(type='VeRA', parts=['downsample'], rank=8, seed=1),
        families=('resnet',),
    ),
    Case('pego', dict(type='PEGO', rank=2, groups=3)),
    Case('soma', dict(type='SoMA', rank=4)),
    Case(
        'soma_principal',
        dict(
            type='SoMA', rank=3, alpha=6, blocks=[0, -1], components='principal', train_bias=False
        ),
        families=('dinov2', 'resnet', 'swin'),
    ),
    Case(
        'soma_random_start',
        dict(type='SoMA', rank=4, random_start=True),
        families=('vit', 'convnext'),
        start=0.05,
    ),
    Case('svf', dict(type='SVF')),
    Case(
        'svf_parts',
        dict(type='SVF', parts=['q', 'v', 'fc2', 'patch']),
        families=('vit', 'eva02', 'sam', 'swin'),
    ),
    Case('ssf', dict(type='SSF'), start=0.2),
    Case('ssf_exact', dict(type='SSF', init_std=0)),
    Case(
        'ssf_roles',
        dict(type='SSF', roles=['conv1', 'bn2', 'downsample', 'stem']),
        families=('resnet',),
        start=0.2,
    ),
    Case('bitfit', dict(type='BitFit')),
    Case('norm_tuning', dict(type='BitFit', roles=['norm', 'norm_bias'])),
    Case(
        'bitfit_all',
        dict(type='BitFit', roles=['bias', 'norm', 'norm_bias', 'scale', 'pos', 'token', 'weight']),
    ),
    Case('bitfit_blocks', dict(type='BitFit', roles=['bias', 'scale', 'norm_bias'], blocks=[-1])),
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
        without=('convnext', 'resnet'),
    ),
    Case(
        'conv_lora_all',
        dict(type='ConvLoRA', parts=['qkv', 'proj', 'fc1', 'fc2'], num_experts=2),
        merges=False,
        families=('sam', 'swin'),
    ),
    Case(
        'conv_lora_top2',
        dict(type='ConvLoRA', parts=['fc1', 'fc2'], num_experts=3, top_k=2, multiply_by_gates=True),
        merges=False,
        families=('dinov2_registers', 'convnext', 'convnext_conv', 'swin'),
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
