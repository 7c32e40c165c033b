# LV-Adapter (a reconstruction) for a small plain ViT: maps of stride 8 become a pyramid, whose pixels
# read the names of all classes; an FPN head, and the alignment loss, for each task.
text_branch = dict(type='ClassTable', templates=['a photo of a {}.'])
neck = dict(type='LVAdapter', factors=(2, 1, 1, 0.5), out_channels=96)
decode_head = dict(
    type='FPNHead',
    feature_strides=[4, 8, 8, 16],
    channels=64,
    dropout_ratio=0.0,
    norm_cfg=dict(type='GN', num_groups=8),
    loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True))
auxiliary_head = dict(type='AlignmentHead')
