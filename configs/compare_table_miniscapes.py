# The README's table: 12 ways to tune the pretrained TinyViT x 3 seeds on the embedded benchmark.
#   python tools/compare.py configs/compare_table_miniscapes.py
# Rates are those of configs/tune_miniscapes.py, chosen on the source's validation split.
_base_ = ['./rein_tiny_miniscapes.py']
optim_wrapper = dict(optimizer=dict(lr=3e-3))
scratch = dict(_delete_=True, type='TinyViT', name='TinyViT (random)', init_seed=0)
slower = {'optim_wrapper.optimizer.lr': 1e-3}
comparison = dict(
    peft=[
        'Frozen',
        dict(type='Full', options=slower),
        dict(type='Full', name='Scratch', options={'model.backbone.encoder': scratch, **slower}),
        'LoRA', 'Rein', 'ConvLoRA', 'VPT', 'AdaptFormer', 'SSF', 'SVF', 'BitFit', 'SoMA'],
    seeds=[0, 1, 2])
