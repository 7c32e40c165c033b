# Nuclei: stage1_train of the 2018 Data Science Bowl as downloaded; 536 images train, 67 validate,
# 67 are the test, divided by names.
benchmark = 'dsb2018'
