# Cosine of an image with the words of the classes: no parameter of its own.
head = dict(type='TextImageHead')
