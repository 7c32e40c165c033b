head = dict(type='LinearImageHead')
