# DPT (Ranftl et al., ICCV 2021): mmseg's head on four maps of a plain ViT and their class tokens.
# The channels of its pyramid are those of ViT-L; an encoder without class token (SAM) takes
# readout_type='ignore'. It takes no queries: with Rein set peft.link_to_queries=False.
decode_head = dict(
    type='DPTHead',
    channels=256,
    post_process_channels=[256, 512, 1024, 1024],
    readout_type='project',
    dropout_ratio=0.1,
    norm_cfg=dict(type='GN', num_groups=32),
    loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True))
