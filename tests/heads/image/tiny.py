"""One tiny head of each kind for whole images, by the name users know: a new head is one row."""

TEXT = dict(type='ClassTable', classes=['car', 'bus', 'road'], init_seed=0)

# options of `PEFTImageModel`
IMAGE_HEADS = {
    'Linear': dict(head=dict(type='LinearImageHead')),
    'Text': dict(head=dict(type='TextImageHead'), text=TEXT),
    'Retrieval': dict(head=dict(type='RetrievalHead', reduction=2)),
    'Retrieval, repository': dict(head=dict(type='RetrievalHead', form='repository')),
}


def reads_joint(row):
    """Whether an encoder must have the space that image and text share."""
    return 'text' in row
