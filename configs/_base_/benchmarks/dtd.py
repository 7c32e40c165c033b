# Describable Textures: 47 attributes of textures. 47 classes, 16 images of each train. Data in data/dtd.
#   another number: --cfg-options train_dataloader.dataset.shots=4 train_dataloader.dataset.shot_seed=2
benchmark = 'dtd'
