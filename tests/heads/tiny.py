"""One tiny head of each kind, by the name users know: a new head is one row."""

from mmseg.registry import MODELS

GROUPS = dict(type='GN', num_groups=2)
UPERNET = dict(type='UPerHead', channels=8, pool_scales=(1, 2), norm_cfg=GROUPS)
SETR = dict(hidden=8, norm_cfg=GROUPS)
# on four maps; images of 32 x 64 pixels have 1 x 2 steps at stride 32
FPT = dict(
    type='FPTHead',
    num_layers=((1, 1, 1, 1), (1, 1, 1), (1, 1), (1,)),
    sra_ratios=((1, 2, 2, 2), (2, 2, 2), (2, 2), (2,)),
    drop_path_rates=(0.3, 0.2, 0.1, 0.0),
)

MASKFORMER = dict(
    type='MaskFormerHead',
    embed_dims=8,
    mask_dims=8,
    embed_hidden_dims=8,
    num_queries=5,
    num_layers=2,
    num_heads=2,
    feedforward_channels=8,
    norm_groups=4,
)

HEADS = {
    'Linear': dict(decode_head=dict(type='LinearHead')),
    # queries of the methods' cases: 5 of width 8
    'Mask2Former': dict(
        decode_head=dict(
            type='Mask2FormerHead',
            feat_channels=8,
            num_queries=5,
            num_heads=2,
            encoder_layers=1,
            decoder_layers=3,
            encoder_hidden=8,
            decoder_hidden=8,
            norm_groups=4,
            loss=dict(num_points=20),
        )
    ),
    # in the last two blocks of a plain vision transformer
    'EoMT': dict(
        decode_head=dict(type='EoMTHead', num_queries=5, num_blocks=2, loss=dict(num_points=20))
    ),
    'PMT': dict(
        decode_head=dict(type='PMTHead', num_queries=5, num_blocks=2, loss=dict(num_points=20))
    ),
    'SAM, classes': dict(
        decode_head=dict(
            type='SAMHead',
            num_tokens=5,
            set_loss=dict(num_points=20),
            decoder=dict(num_heads=2, hidden=16, iou_hidden=16),
        )
    ),
    'SAM, foreground': dict(
        num_classes=2,
        decode_head=dict(type='SAMHead', decoder=dict(num_heads=2, hidden=16, iou_hidden=16)),
    ),
    'DuAT': dict(num_classes=2, decode_head=dict(type='DuATHead', channels=4, out_channels=1)),
    'DuAT, classes': dict(decode_head=dict(type='DuATHead', channels=4)),
    'UPerNet': dict(decode_head=UPERNET),
    'TokenPyramid, UPerNet': dict(
        neck=dict(type='TokenPyramid', out_channels=8), decode_head=UPERNET
    ),
    'DDRNet': dict(
        decode_head=dict(type='DDRNetHead', channels=8, in_index=-1, norm_cfg=GROUPS),
        auxiliary_head=dict(type='DDRNetHead', channels=8, in_index=0, norm_cfg=GROUPS),
    ),
    'CAT, SegFormer': dict(
        neck=dict(
            type='CATNeck',
            grids=(4, 4, (2, 4), 2),
            embed_dims=8,
            num_heads=2,
            num_iters=2,
            depth=1,
            out_size=8,
        ),
        decode_head=dict(
            type='SegformerHead',
            channels=8,
            norm_cfg=GROUPS,
            loss_decode=[
                dict(type='CrossEntropyLoss', loss_weight=0.5, avg_non_ignore=True),
                dict(type='BatchDiceLoss', loss_weight=0.5),
            ],
        ),
    ),
    'SegFormer': dict(decode_head=dict(type='SegformerHead', channels=8, norm_cfg=GROUPS)),
    'FCN': dict(decode_head=dict(type='FCNHead', channels=8, norm_cfg=GROUPS)),
    'RepSep': dict(decode_head=dict(type='RepSepHead', channels=8, num_heads=2)),
    'PSPNet': dict(
        decode_head=dict(type='PSPHead', channels=8, pool_scales=(1, 2), norm_cfg=GROUPS)
    ),
    'DeepLabV3+': dict(
        decode_head=dict(
            type='DepthwiseSeparableASPPHead',
            channels=8,
            dilations=(1, 2),
            c1_channels=4,
            norm_cfg=GROUPS,
        )
    ),
    'OCR': dict(
        decode_head=dict(
            type='CascadeHead',
            heads=[
                dict(type='FCNHead', channels=8, num_convs=1, norm_cfg=GROUPS),
                dict(type='OCRHead', channels=8, ocr_channels=4, norm_cfg=GROUPS),
            ],
        )
    ),
    'DANet': dict(decode_head=dict(type='DAHead', channels=8, pam_channels=4, norm_cfg=GROUPS)),
    'Non-local': dict(decode_head=dict(type='NLHead', channels=8, norm_cfg=GROUPS)),
    'SETR, Naive': dict(
        decode_head=dict(type='SETRHead', variant='naive', decoder=SETR),
        auxiliary_head=dict(type='SETRHead', variant='naive', decoder=SETR, in_index=1),
    ),
    'SETR, PUP': dict(
        decode_head=dict(type='SETRHead', variant='pup', decoder=SETR),
        auxiliary_head=dict(type='SETRHead', variant='pup_aux', decoder=SETR, in_index=1),
    ),
    'SETR, MLA': dict(
        decode_head=dict(
            type='SETRHead',
            variant='mla',
            decoder=dict(channels=8, head_channels=4, norm_cfg=GROUPS),
        )
    ),
    # of the encoders with four maps of one size and class tokens
    'DPT': dict(
        decode_head=dict(
            type='DPTHead',
            channels=8,
            post_process_channels=[4, 4, 8, 8],
            readout_type='project',
            norm_cfg=GROUPS,
        )
    ),
    'HLG': dict(decode_head=dict(type='HLGHead', channels=32, interval=4, norm_cfg=GROUPS)),
    'FPN, Semantic FPN': dict(
        neck=dict(type='FPN', out_channels=8, num_outs=4),
        decode_head=dict(
            type='FPNHead', feature_strides=[4, 8, 16, 32], channels=8, norm_cfg=GROUPS
        ),
    ),
    # of the encoders with a joint space of 8 values
    'DenseCLIP': dict(
        text=dict(type='ClassTable', classes=['road', 'sky', 'car'], dims=8),
        neck=dict(
            type='PixelTextNeck',
            out_channels=8,
            embed_dims=8,
            num_heads=2,
            num_layers=1,
        ),
        decode_head=dict(
            type='FPNHead', feature_strides=[4, 8, 16, 32], channels=8, norm_cfg=GROUPS
        ),
        auxiliary_head=dict(type='IdentityHead'),
    ),
    'LV-Adapter': dict(
        text=dict(type='ClassTable', classes=['road', 'sky', 'car'], dims=8, init_seed=0),
        neck=dict(type='LVAdapter', out_channels=8, num_heads=2),
        decode_head=dict(
            type='FPNHead', feature_strides=[4, 8, 16, 32], channels=8, norm_cfg=GROUPS
        ),
        auxiliary_head=dict(type='AlignmentHead'),
    ),
    'ZegCLIP': dict(
        text=dict(type='ClassTable', classes=['road', 'sky', 'car'], unseen=['sky'], dims=8),
        decode_head=dict(type='ATMHead', num_heads=2),
    ),
    'MaskFormer': dict(decode_head={**MASKFORMER, 'classifier': 'linear'}),
    'zsseg, proposals': dict(
        text=dict(type='ClassTable', classes=['road', 'sky', 'car'], unseen=['sky'], dims=8),
        decode_head=MASKFORMER,
    ),
    'FPN, FPT': dict(neck=dict(type='FPN', out_channels=8, num_outs=4), decode_head=FPT),
    'TokenPyramid, FPT': dict(neck=dict(type='TokenPyramid'), decode_head=FPT),
}
# heads that some families cannot feed: maps of several sizes, no joint space, no sequence of tokens
PARTIAL = (
    'DenseCLIP',
    'ZegCLIP',
    'RepSep',
    'SETR, MLA',
    'DPT',
    'FPN, FPT',
    'TokenPyramid, FPT',
    'EoMT',
)


def reads_norm(model):
    """Whether the head of a model needs the encoder's final norm."""
    return getattr(MODELS.get(model['decode_head']['type']), 'joins_encoder', False)


def reads_joint(model):
    """Whether a part of a model reads the joint embedding of image and text."""
    parts = [model.get('neck'), model['decode_head'], model.get('auxiliary_head')]
    parts = [part for part in parts if isinstance(part, dict)]
    return any('joint_dims' in getattr(MODELS.get(p['type']), 'filled_in', ()) for p in parts)
