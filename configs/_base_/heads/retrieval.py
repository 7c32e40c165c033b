# FRPT's head: category-specific awareness, mean, linear classifier; its result is the embedding.
head = dict(type='RetrievalHead')
