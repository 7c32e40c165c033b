# SETR-MLA (Zheng et al., CVPR 2021) on four maps of one size; its auxiliary classifiers are in it.
# It takes no queries: with Rein set peft.link_to_queries=False.
decode_head = dict(type='SETRHead', variant='mla')
