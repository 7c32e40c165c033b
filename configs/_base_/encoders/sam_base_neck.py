# SAM's encoder at ViT-B whose one output goes through SAM's neck, for SAM's mask decoder.
_base_ = ['./sam_base.py']
encoder = dict(out_indices=[11], neck=True)
