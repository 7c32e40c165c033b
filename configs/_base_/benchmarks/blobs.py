# The embedded binary benchmark: procedural lesions and animals in camouflage, drawn on first use
# into data/blobs. Source tissue; unseen targets pale, dark, noisy, leafy. Classes background, blob.
benchmark = 'blobs'
