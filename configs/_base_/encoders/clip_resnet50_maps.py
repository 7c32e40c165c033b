# CLIP ResNet-50 for necks and heads that read maps alone, without the space that image and text share.
_base_ = ['./clip_resnet50.py']
encoder = dict(joint_dims=None)
