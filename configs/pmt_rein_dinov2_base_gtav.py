# Rein on DINOv2-B under a plain mask decoder (PMT), GTAV -> urban scenes.
#   python tools/train.py configs/pmt_rein_dinov2_base_gtav.py
# No published score found. Schedule: the protocol's, masks opened in equal parts of the run.
_base_ = [
    './_base_/encoders/dinov2_base.py', './_base_/heads/pmt.py',
    './_base_/benchmarks/gtav_to_urban.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='Rein', link_to_queries=False)),
    decode_head={{_base_.decode_head}})
