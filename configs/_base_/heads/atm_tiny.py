# ZegCLIP's head at the width of TinyCLIP's joint space, which 8 heads would cut too thin; see atm.py.
decode_head = dict(type='ATMHead', num_heads=4)
