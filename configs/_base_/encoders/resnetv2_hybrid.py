# The convolutions in front of ViT-B/16 (R50+ViT-B/16), as TransUNet and CASTformer use them: 64, 256,
# 512, 1024 channels at 1/2, 1/4, 1/8, 1/16. timm's file, from the hub; its transformer is left out.
encoder = dict(
    name='ResNetV2-50 (hybrid)',
    type='ResNetV2',
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5],
    checkpoint='hf:timm/vit_base_r50_s16_224.orig_in21k')
