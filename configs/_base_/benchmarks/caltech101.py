# Caltech101: 102 kinds of objects, the background among them; lists of mmpretrain. 102 classes, 16 images of each train. Data in data/caltech-101.
#   another number: --cfg-options train_dataloader.dataset.shots=4 train_dataloader.dataset.shot_seed=2
benchmark = 'caltech101'
