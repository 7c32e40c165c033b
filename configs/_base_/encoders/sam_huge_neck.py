# SAM's encoder at ViT-H whose one output goes through SAM's neck, for SAM's mask decoder.
_base_ = ['./sam_huge.py']
encoder = dict(out_indices=[31], neck=True)
