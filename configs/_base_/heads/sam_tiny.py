# SAM's mask decoder, narrow, for two CPU cores.
decode_head = dict(type='SAMHead', decoder=dict(num_heads=4, hidden=256, iou_hidden=128))
