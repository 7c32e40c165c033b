# ATM at the width of TinyCLIP's joint space, which 8 heads would cut too thin; see atm.py.
_base_ = './atm.py'
decode_head = dict(num_heads=4)
