# The decoder of DuAT (Tang et al., PRCV 2023), on any four maps; 0.10 M parameters at width 32. Two
# logits, each with the structure loss, whose cross-entropy is weighted at borders as in the paper.
# For several classes: decode_head=dict(loss_decode=None), which takes the cross-entropy.
decode_head = dict(type='DuATHead', loss_decode=dict(type='StructureLoss', bce='weighted'))
