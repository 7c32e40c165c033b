# Synapse multi-organ CT, from data/synapse/{train_npz,test_vol_h5}: see docs/reference/datasets.md.
# Eight organs and the background; 18 training volumes, 12 test volumes.
benchmark = 'synapse'
