# DuAT's decoder (Tang et al., PRCV 2023): 101 027 parameters on PVTv2-B2, on any four maps. Two
# logits, each with the structure loss, whose cross-entropy is weighted at borders as in the paper.
decode_head = dict(type='DuATHead', loss_decode=dict(type='StructureLoss', bce='weighted'))
