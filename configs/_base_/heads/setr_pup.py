# SETR-PUP (Zheng et al., CVPR 2021) on the last of four maps, auxiliary heads on all four.
# It takes no queries: with Rein set peft.link_to_queries=False.
decode_head = dict(type='SETRHead', variant='pup')
auxiliary_head = [
    dict(
        type='SETRHead', variant='pup_aux', in_index=0,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)),
    dict(
        type='SETRHead', variant='pup_aux', in_index=1,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)),
    dict(
        type='SETRHead', variant='pup_aux', in_index=2,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)),
    dict(
        type='SETRHead', variant='pup_aux', in_index=3,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4))]
