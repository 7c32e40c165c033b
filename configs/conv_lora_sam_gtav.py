# Conv-LoRA on SAM's ViT-H with Mask2Former, GTAV -> urban scenes: 0.51 M parameters in the encoder.
# The balance loss is added to the others. No published score found.
#   python tools/train.py configs/conv_lora_sam_gtav.py
_base_ = ['./rein_sam_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='ConvLoRA')))
