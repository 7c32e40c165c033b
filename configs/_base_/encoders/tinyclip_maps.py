# TinyCLIP for necks and heads that read maps alone, without the space that image and text share.
_base_ = ['./tinyclip.py']
encoder = dict(joint_dims=None)
