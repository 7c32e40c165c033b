# The decoder of DuAT (Tang et al., PRCV 2023), on any four maps; 0.10 M parameters at width 32. Two
# logits with the structure loss each, weighted at borders as in the paper; of several classes the
# cross-entropy.
decode_head = dict(type='DuATHead')
