# LV-Adapter (a reconstruction; arXiv 2209.08953): an FPN whose pixels read the names of all classes, a
# semantic FPN head, and the alignment loss, for each task.
text_branch = dict(type='ClassTable', templates=['a photo of a {}.'])
neck = dict(type='LVAdapter')
decode_head = dict(
    type='FPNHead',
    feature_strides=[4, 8, 16, 32],
    channels=128,
    dropout_ratio=0.1,
    norm_cfg=dict(type='SyncBN', requires_grad=True))
auxiliary_head = dict(type='AlignmentHead')
