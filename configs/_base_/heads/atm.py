# ATM, the head of ZegCLIP (Zhou et al., CVPR 2023): masks of classes from their names, read as "a photo of a
# {name}". Needs an encoder with a joint space of image and text, whose file holds the text tower, too. It
# takes no queries: with Rein set peft.link_to_queries=False.
decode_head = dict(type='ATMHead')
text_branch = dict(type='ClassTable')
