"""A small model, its optimizer, and the rate and decay of each of its tensors."""

from mmseg.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS

from tests.encoders.tiny import ENCODERS


def model(peft):
    return MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(type='PEFTBackbone', encoder=ENCODERS['vit'], peft=peft),
            decode_head=dict(type='LinearHead'),
            num_classes=4,
        )
    )


def build(module, **paramwise):
    return OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='TrainableOptimConstructor',
            optim_wrapper_cfg=dict(optimizer=dict(type='AdamW', lr=0.1, weight_decay=0.05)),
            paramwise_cfg=paramwise or None,
        )
    )(module)


def hyper(module, wrapper):
    """Returns name -> (lr, weight decay)."""
    names = {id(p): n for n, p in module.named_parameters()}
    return {
        names[id(p)]: (group['lr'], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
        for p in group['params']
    }
