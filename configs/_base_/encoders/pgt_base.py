# PGT-B, FTN's encoder (Wu et al., arXiv 2106.04108), 48.9 M parameters, stages 2 to 4. No weights were ever
# released, so it starts from random weights: train it whole (peft Full).
encoder = dict(
    name='PGT-B (random)',
    type='PGT',
    arch='base',
    out_indices=[1, 2, 3],
    drop_path_rate=0.3,
    init_seed=0)
