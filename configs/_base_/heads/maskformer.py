# MaskFormer (Cheng et al., NeurIPS 2021) with classes from their names, the first stage of zsseg (Xu et al.,
# ECCV 2022): 100 queries, 6 layers on the last map. The text branch needs a tower of CLIP's file. It takes
# no queries: with Rein set peft.link_to_queries=False.
decode_head = dict(type='MaskFormerHead')
text_branch = dict(type='ClassTable')
