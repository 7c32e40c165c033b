# Polyps: PraNet's 1450 training images of Kvasir and CVC-ClinicDB, 145 of them held out to choose
# the checkpoint; tests Kvasir (100) and CVC-ClinicDB = CVC-612 (62).
benchmark = 'polyp'
