# The heads of DDRNet-23: as ddrnet.py, wider.
_base_ = './ddrnet.py'
decode_head = dict(channels=128)
auxiliary_head = dict(channels=128)
