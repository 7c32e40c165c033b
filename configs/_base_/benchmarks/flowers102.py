# Oxford 102 Flowers. 102 classes, 16 images of each train. Data in data/Flowers102.
#   another number: --cfg-options train_dataloader.dataset.shots=4 train_dataloader.dataset.shot_seed=2
benchmark = 'flowers102'
