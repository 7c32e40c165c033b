# ADE20K: 20210 training, 2000 validation images, 150 classes, data/ADEChallengeData2016 as downloaded.
# Crops, schedule and sizes are the protocol's, one word: docs/reference/protocols.md.
benchmark = 'ade20k'
