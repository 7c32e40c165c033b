# HLG-S (Zhang et al., arXiv 2207.09339); published top-1 on ImageNet-1k 82.3 %. For its weights see
# https://github.com/fudan-zvg/SETR: no address is known here and no file was opened. Save it under the name
# below, or train from random weights with init_seed=0 in place of checkpoint.
# Their code computes behaviour='official', square images only; 'intent' takes all sides that 32 divides.
encoder = dict(
    name='HLG-S',
    type='HLGTransformer',
    arch='small',
    behaviour='official',
    drop_path_rate=0.1,
    checkpoint='checkpoints/hlg_small.pth')
