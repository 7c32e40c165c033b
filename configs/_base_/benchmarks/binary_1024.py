# The frame of Conv-LoRA's tasks, for a task of your own: images squeezed into a square of 1024, flips,
# nothing else; one thing and its background. Name the data sets without a pipeline: they take the
# protocol's.
benchmark = 'binary_1024'
