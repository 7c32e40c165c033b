# PVTv2-B0, 3.4 M parameters, with random weights, to be trained whole (peft Full).
encoder = dict(
    name='PVTv2-B0, random',
    type='PVT',
    arch='v2_b0',
    init_seed=0)
