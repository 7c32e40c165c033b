# UCF101 as still images: the middle frame of each video. 101 classes, 16 images of each train. Data in data/ucf101.
#   another number: --cfg-options train_dataloader.dataset.shots=4 train_dataloader.dataset.shot_seed=2
benchmark = 'ucf101'
