# MaskFormer (Cheng et al., NeurIPS 2021) with classes from their names, the first stage of zsseg (Xu et al.,
# ECCV 2022): 100 queries, 6 layers on the last map. It takes no queries of a method: with Rein set
# peft.link_to_queries=False. The names pass the text tower of CLIP ViT-B/16, which tiny configs replace.
decode_head = dict(type='MaskFormerHead')
text_branch = dict(
    type='ClassTable',
    tower=dict(
        checkpoint='checkpoints/ViT-B-16.pt',
        checkpoint_url='https://openaipublic.azureedge.net/clip/models/5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f/ViT-B-16.pt'))
