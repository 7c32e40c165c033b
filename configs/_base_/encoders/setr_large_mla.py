# SETR's ViT-L as MLA runs it: no class token in the blocks; outputs of every sixth block.
_base_ = './setr_large.py'
encoder = dict(drop_class_token=True, out_indices=[5, 11, 17, 23])
