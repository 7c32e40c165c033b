# Conv-LoRA on a tiny SAM with its mask decoder, several classes: the embedded street scenes. Two
# cores, 4 minutes.
#   python tools/train.py configs/conv_lora_tiny_sam_miniscapes.py
_base_ = [
    './_base_/encoders/sam_tiny.py', './_base_/benchmarks/miniscapes.py',
    './_base_/schedules/adamw_tiny.py', './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='ConvLoRA')),
    decode_head=dict(
        type='SAMHead', num_tokens=40,
        # as Mask2Former weighs them: with Conv-LoRA's 1, 1, 1 it learns half as fast here
        set_loss=dict(num_points=2048, class_weight=2.0, mask_weight=5.0, dice_weight=5.0),
        decoder=dict(num_heads=4, hidden=256, iou_hidden=128)))
optim_wrapper = dict(optimizer=dict(lr=2e-3))
