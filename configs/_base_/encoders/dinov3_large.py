# DINOv3 ViT-L/16 (Simeoni et al., 2025) with four registers, from the hub under the DINOv3 License:
# https://huggingface.co/timm/vit_large_patch16_dinov3_qkvb.lvd1689m
# Meta's own file serves too: pretrained=False, checkpoint='checkpoints/dinov3_vitl16_pretrain....pth'
encoder = dict(
    name='DINOv3-L',
    type='TimmEncoder',
    model='vit_large_patch16_dinov3_qkvb.lvd1689m',
    img_size=512,
    out_indices=[7, 11, 15, 23],
    pretrained=True)
