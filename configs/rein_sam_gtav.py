# Rein on SAM's ViT-H after its four global-attention blocks, GTAV -> urban scenes: 3.89 M parameters
# in the encoder. No published score found.
#   python tools/train.py configs/rein_sam_gtav.py
_base_ = [
    './_base_/encoders/sam_huge.py', './_base_/heads/mask2former.py',
    './_base_/benchmarks/gtav_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein', blocks=[7, 15, 23, 31])),
    decode_head={{_base_.decode_head}})
