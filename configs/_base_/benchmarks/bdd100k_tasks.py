# BDD100K with two tasks: semantic (19 classes, 7000 training and 1000 validation images) and drivable
# (3 classes, 70000 and 10000).
benchmark = 'bdd100k_tasks'
