# The baseline of lv_adapter_tinyclip_miniscapes.py: a linear head of each task on the frozen encoder;
# all else is equal.
#   python tools/train.py configs/linear_two_tasks_tinyclip_miniscapes.py
_base_ = ['./lv_adapter_tinyclip_miniscapes.py']
model = dict(
    text=None, neck=None, auxiliary_head=None,
    decode_head=dict(_delete_=True, type='LinearHead'))
