# The heads of DDRNet-39: as ddrnet.py, wider.
_base_ = './ddrnet.py'
decode_head = dict(channels=256)
auxiliary_head = dict(channels=256)
