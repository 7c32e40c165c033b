"""Tiny models of Hugging Face transformers with trained-looking values, and their files."""

import functools

import torch
from safetensors.torch import load_file

SIZES = dict(
    hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8
)
WIDE = dict(**SIZES, intermediate_size=32)
RATIO = dict(**SIZES, mlp_ratio=2)


def _model(name, config, **args):
    import transformers

    made = getattr(transformers, config)(**args)
    model = getattr(transformers, name)(made)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for param in model.parameters():
            param.copy_(torch.randn(param.shape, generator=generator) * 0.2)
    return model.eval()


_CLIP_TEXT = dict(
    hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, vocab_size=9,
    bos_token_id=0, eos_token_id=1, pad_token_id=2,
)  # fmt: skip
_DINOV3 = dict(**WIDE, num_register_tokens=2)
MODELS = {
    'dinov2': ('Dinov2Model', 'Dinov2Config', RATIO),
    'dinov2_classifier': ('Dinov2ForImageClassification', 'Dinov2Config', RATIO),
    'dinov2_swiglu': ('Dinov2Model', 'Dinov2Config', dict(**RATIO, use_swiglu_ffn=True)),
    'dinov2_registers': (
        'Dinov2WithRegistersModel',
        'Dinov2WithRegistersConfig',
        dict(**RATIO, num_register_tokens=2),
    ),
    'vit': ('ViTForImageClassification', 'ViTConfig', dict(**WIDE, layer_norm_eps=1e-6)),
    'dinov3': ('DINOv3ViTModel', 'DINOv3ViTConfig', _DINOV3),
    'dinov3_gated': (
        'DINOv3ViTModel',
        'DINOv3ViTConfig',
        dict(**_DINOV3, use_gated_mlp=True, hidden_act='silu'),
    ),
    'clip_tower': ('CLIPVisionModel', 'CLIPVisionConfig', WIDE),
    'clip': ('CLIPModel', 'CLIPConfig', dict(text_config=_CLIP_TEXT, vision_config=WIDE)),
    'siglip': ('SiglipVisionModel', 'SiglipVisionConfig', WIDE),
    'sam': (
        'SamVisionModel',
        'SamVisionConfig',
        dict(**SIZES, mlp_dim=32, window_size=3, global_attn_indexes=[1], output_channels=8),
    ),
}


@functools.cache
def model(name):
    """A model by name of `MODELS`."""
    cls, config, args = MODELS[name]
    return _model(cls, config, **args)


def written(name, folder):
    """The tensors of the file that ``save_pretrained`` writes, which has names of its own."""
    model(name).save_pretrained(folder)
    return load_file(folder / 'model.safetensors')


def hidden(name, image):
    """The (B, P+N, C) outputs of all blocks."""
    whole = model(name)
    towers = (getattr(whole, part, None) for part in ('vision_model', 'dinov2', 'vit'))
    tower = next((one for one in towers if one is not None), whole)
    takes_any_size = name in ('clip_tower', 'clip', 'siglip', 'vit')
    more = {'interpolate_pos_encoding': True} if takes_any_size else {}
    with torch.no_grad():
        outputs = tower(image, output_hidden_states=True, **more)
    return outputs.hidden_states[1:]
