# Mask2Former (Cheng et al., CVPR 2022) at Rein's sizes; its queries come from the method where it
# makes some (Rein), and are learned otherwise.
decode_head = dict(
    type='Mask2FormerHead',
    feat_channels=256,
    num_queries=100,
    num_heads=8,
    encoder_layers=6,
    decoder_layers=9,
    encoder_hidden=1024,
    decoder_hidden=2048)
