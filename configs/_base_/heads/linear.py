decode_head = dict(type='LinearHead')
