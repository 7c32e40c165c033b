# Nuclei of DSB 2018, divided by others: dsb2018/{TrainDataset,TestDataset}/{images,masks}.
benchmark = 'dsb2018_prepared'
