# SAM's encoder at ViT-L whose one output goes through SAM's neck, for SAM's mask decoder.
_base_ = ['./sam_large.py']
encoder = dict(out_indices=[23], neck=True)
