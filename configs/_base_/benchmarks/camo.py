# Camouflaged objects: SINet's 4040 training images of COD10K and CAMO, 404 of them held out to
# choose the checkpoint; test CAMO (250).
benchmark = 'camo'
