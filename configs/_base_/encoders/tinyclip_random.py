# TinyCLIP with random weights, drawn from init_seed: it knows no words.
# For tests: scores say that things work, not how well.
encoder = dict(
    name='TinyCLIP (random)',
    type='TinyCLIP',
    init_seed=0)
