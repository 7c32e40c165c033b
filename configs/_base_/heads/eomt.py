# EoMT (Kerssies et al., CVPR 2025): the encoder's last blocks see 100 queries and are the decoder.
# num_blocks: 3 for ViT-S and ViT-B, 4 for ViT-L, 5 for ViT-g. upscale_channels=256, ours, enlarges
# the patches at that width, not the encoder's: much less work from ViT-B on.
# Masks open in num_blocks + 2 equal parts of the run, unless a MaskAnnealingHook says otherwise.
decode_head = dict(
    type='EoMTHead',
    num_queries=100,
    num_blocks=3,
    upscale_channels=None)
