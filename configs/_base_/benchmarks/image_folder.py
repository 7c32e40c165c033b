# Own images in a folder for each class: DIR/train/CLASS/IMAGE and DIR/val/CLASS/IMAGE.
#   --cfg-options data_root=DIR
benchmark = 'image_folder'
