# TinyCLIP: a TinyViT trained with captions of random streets, and its text tower; the words it knows
# are in its file. Its weights come with the package: docs/background/model-card-tinyclip.md.
encoder = dict(
    name='TinyCLIP',
    type='TinyCLIP',
    checkpoint='package:tinyclip.safetensors')
