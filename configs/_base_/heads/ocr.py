# OCR (Yuan et al., ECCV 2020): object regions from an FCN, both on the last map, from mmsegmentation.
# It takes no queries: with Rein set peft.link_to_queries=False.
decode_head = dict(
    type='CascadeHead',
    heads=[
        dict(
            type='FCNHead',
            channels=256,
            num_convs=1,
            concat_input=False,
            norm_cfg=dict(type='GN', num_groups=32),
            loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.4)),
        dict(
            type='OCRHead',
            channels=512,
            ocr_channels=256,
            dropout_ratio=0.05,
            norm_cfg=dict(type='GN', num_groups=32),
            loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True))])
