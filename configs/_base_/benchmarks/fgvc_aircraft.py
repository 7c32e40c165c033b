# FGVC Aircraft: 100 variants of aircraft. 100 classes, 16 images of each train. Data in data/fgvc-aircraft-2013b.
#   another number: --cfg-options train_dataloader.dataset.shots=4 train_dataloader.dataset.shot_seed=2
benchmark = 'fgvc_aircraft'
