# RepAdapter on DINOv2-L, beside rein_dinov2_gtav.py: 0.59 M parameters in the encoder, merged into its
# weights for use (tools/merge.py). No published score found.
#   python tools/train.py configs/rep_adapter_dinov2_gtav.py
_base_ = ['./rein_dinov2_gtav.py']
model = dict(backbone=dict(peft=dict(_delete_=True, type='RepAdapter')))
