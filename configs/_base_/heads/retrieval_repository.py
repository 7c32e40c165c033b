# The head of FRPT's code: awareness, two convolutions, generalised mean, batch norm.
head = dict(type='RetrievalHead', form='repository', label_smoothing=0.3)
