# The README's table: 12 ways to tune the pretrained TinyViT x 3 seeds on the embedded benchmark.
#   python tools/compare.py configs/compare_table_miniscapes.py
_base_ = ['./rein_tiny_miniscapes.py']
scratch = dict(_delete_=True, type='TinyViT', name='TinyViT (random)', init_seed=0)
comparison = dict(
    peft=[
        'Frozen', 'Full',
        dict(type='Full', name='Scratch', options={'model.backbone.encoder': scratch}),
        'LoRA', 'Rein', 'ConvLoRA', 'VPT', 'AdaptFormer', 'SSF', 'SVF', 'BitFit', 'SoMA'],
    seeds=[0, 1, 2])
