# ZegCLIP on PASCAL VOC, 15 classes seen and 5 unseen, inductive: 4 GPUs x 4 images, 20k iterations.
# Published pAcc / S / U / hIoU (ViT-B/16, mean of several runs): 94.6 / 91.9 / 77.8 / 84.3.
#   python tools/train.py configs/zegclip_clip_base_voc.py
# The authors' checkpoint is its own encoder file:
#   python tools/test.py configs/zegclip_clip_base_voc.py FILE --cfg-options model.backbone.encoder.checkpoint=FILE
_base_ = [
    './_base_/encoders/clip_base_imagenet.py', './_base_/heads/atm.py',
    './_base_/benchmarks/voc20_15_5.py', './_base_/schedules/protocol.py',
    './_base_/runtime.py']
model = dict(
    backbone=dict(
        encoder={{_base_.encoder}},
        peft=dict(type='VPT', num_tokens=10, project_dims=768, dropout=0.1, post_norm=True)),
    text={{_base_.text_branch}},
    decode_head={{_base_.decode_head}})
# halfway, where zegclip_transductive_clip_base_voc.py goes on
default_hooks = dict(checkpoint=dict(interval=10000))
