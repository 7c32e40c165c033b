# DDRNet's head and its auxiliary head, with the losses of its recipe for Cityscapes: the hard pixels
# alone (OHEM), and weights of the 19 classes. For other classes set or drop class_weight of both.
decode_head = dict(
    type='DDRNetHead',
    in_index=0,
    channels=64,
    loss_decode=dict(
        type='OHEMLoss',
        thresh=0.9,
        min_kept=131072,
        class_weight=[
            0.8373, 0.918, 0.866, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023,
            0.9539, 0.9843, 1.1116, 0.9037, 1.0865, 1.0955, 1.0865, 1.1529, 1.0507]))
auxiliary_head = dict(
    type='DDRNetHead',
    in_index=1,
    channels=64,
    loss_decode=dict(
        type='OHEMLoss',
        thresh=0.9,
        min_kept=131072,
        loss_weight=0.4,
        class_weight=[
            0.8373, 0.918, 0.866, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023,
            0.9539, 0.9843, 1.1116, 0.9037, 1.0865, 1.0955, 1.0865, 1.1529, 1.0507]))
