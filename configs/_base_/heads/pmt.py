# PMT (arXiv 2603.25398): a plain decoder of six blocks on the frozen encoder's features of several
# depths: blocks 6, 12, 18, 24 of 24 (out_indices=[5, 11, 17, 23]), each third of 12.
# upscale_channels=256, ours, enlarges the patches at that width, not the encoder's.
# Masks open in num_blocks + 2 equal parts of the run, unless a MaskAnnealingHook says otherwise.
decode_head = dict(
    type='PMTHead',
    num_queries=100,
    num_blocks=6,
    upscale_channels=None)
