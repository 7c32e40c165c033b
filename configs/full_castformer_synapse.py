# CASTformer on Synapse: full_catformer_synapse.py against a critic, TinyViT's sizes with patches of 16.
#   python tools/train.py configs/full_castformer_synapse.py
# Published: Dice 82.55, Jaccard 74.69, 95HD 22.73; the critic's form and its schedule here are ours.
_base_ = ['./full_catformer_synapse.py']
model = dict(
    type='AdversarialSegmentor',
    critic=dict(type='Critic', encoder=dict(type='TinyViT', img_size=224, patch_size=16, init_seed=1)))
optim_wrapper = dict(
    constructor='AdversarialOptimConstructor',
    critic=dict(optimizer=dict(type='AdamW', lr=5e-4, betas=(0.5, 0.9), weight_decay=1e-4)))
