# Skin lesions of ISIC 2018, divided by others: isic2018/{TrainDataset,TestDataset}/{images,masks}.
benchmark = 'isic2018_prepared'
