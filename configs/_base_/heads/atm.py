# ATM, the head of ZegCLIP: masks of classes from their names. Needs an encoder with a joint space of
# image and text, whose file holds the text tower, too.
decode_head = dict(type='ATMHead')
text_branch = dict(type='ClassTable')
