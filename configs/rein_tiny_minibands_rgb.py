# rein_tiny_minibands.py with red, green and blue alone; all else is equal. Two cores, 3 minutes.
#   python tools/train.py configs/rein_tiny_minibands_rgb.py
_base_ = ['./rein_tiny_minibands.py']
benchmark = dict(bands=dict(use=['red', 'green', 'blue']))
