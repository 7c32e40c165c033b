# Rein on DINOv2-L whose last 4 blocks are the decoder (EoMT), GTAV -> urban scenes.
#   python tools/train.py configs/eomt_rein_dinov2_large_gtav.py
# No published score found. Schedule: the protocol's, masks opened in equal parts of the run.
_base_ = [
    './_base_/encoders/dinov2_large.py', './_base_/heads/eomt.py',
    './_base_/benchmarks/gtav_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein', link_to_queries=False)),
    decode_head=dict({{_base_.decode_head}}, num_blocks=4))
