# ConvLoRA on Swin-L, one gate decision for each window, GTAV -> urban scenes: 0.23 M parameters in
# the encoder. No published score found.
#   python tools/train.py configs/conv_lora_swin_gtav.py
_base_ = [
    './_base_/encoders/swin_large.py', './_base_/heads/mask2former.py',
    './_base_/benchmarks/gtav_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='ConvLoRA')),
    decode_head={{_base_.decode_head}})
