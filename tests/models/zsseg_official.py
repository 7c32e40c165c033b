"""Random files in the layout of zsseg's checkpoints, small: a ResNet-18 and a head on its maps."""

import torch

STEM, WIDTHS, BLOCKS = 8, (8, 16, 32, 64), 2
DIMS, TEXT, HIDDEN, LAYERS, QUERIES = 8, 12, 16, 2, 5


def official_state(*, deep_stem=False, counters=False, seed=0):
    """A whole checkpoint with random values; ``counters``: norms count their batches."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    def linear(name, outputs, inputs):
        return {f'{name}.weight': draw(outputs, inputs), f'{name}.bias': draw(outputs)}

    def norm(name, width):
        return {f'{name}.weight': draw(width), f'{name}.bias': draw(width)}

    def conv(name, outputs, inputs, side):
        norms = norm(f'{name}.norm', outputs)
        norms |= {f'{name}.norm.running_mean': draw(outputs)}
        norms |= {f'{name}.norm.running_var': draw(outputs).abs()}
        if counters:
            norms[f'{name}.norm.num_batches_tracked'] = torch.tensor(7)
        return {f'{name}.weight': draw(outputs, inputs, side, side), **norms}

    state = {}
    if deep_stem:
        widths = (3, STEM // 2, STEM // 2, STEM)
        for i in range(3):
            state |= conv(f'backbone.stem.conv{i + 1}', widths[i + 1], widths[i], 3)
    else:
        state |= conv('backbone.stem.conv1', STEM, 3, 7)
    inputs = STEM
    for stage, width in enumerate(WIDTHS):
        for block in range(BLOCKS):
            name = f'backbone.res{stage + 2}.{block}'
            state |= conv(f'{name}.conv1', width, inputs, 3)
            state |= conv(f'{name}.conv2', width, width, 3)
            if inputs != width:
                state |= conv(f'{name}.shortcut', width, inputs, 1)
            inputs = width
    pyramid, predictor = 'sem_seg_head.pixel_decoder', 'sem_seg_head.predictor'
    for i, width in enumerate(WIDTHS, 1):
        last = i == len(WIDTHS)
        if not last:
            state[f'{pyramid}.adapter_{i}.weight'] = draw(DIMS, width, 1, 1)
            state |= norm(f'{pyramid}.adapter_{i}.norm', DIMS)
        state[f'{pyramid}.layer_{i}.weight'] = draw(DIMS, width if last else DIMS, 3, 3)
        state |= norm(f'{pyramid}.layer_{i}.norm', DIMS)
    state[f'{pyramid}.mask_features.weight'] = draw(DIMS, DIMS, 3, 3)
    state[f'{pyramid}.mask_features.bias'] = draw(DIMS)
    decoder = f'{predictor}.transformer.decoder'
    for i in range(LAYERS):
        layer = f'{decoder}.layers.{i}'
        for name in ('self_attn', 'multihead_attn'):
            state[f'{layer}.{name}.in_proj_weight'] = draw(3 * DIMS, DIMS)
            state[f'{layer}.{name}.in_proj_bias'] = draw(3 * DIMS)
            state |= linear(f'{layer}.{name}.out_proj', DIMS, DIMS)
        state |= linear(f'{layer}.linear1', HIDDEN, DIMS) | linear(f'{layer}.linear2', DIMS, HIDDEN)
        for number in (1, 2, 3):
            state |= norm(f'{layer}.norm{number}', DIMS)
    state |= norm(f'{decoder}.norm', DIMS)
    state[f'{predictor}.query_embed.weight'] = draw(QUERIES, DIMS)
    state[f'{predictor}.input_proj.weight'] = draw(DIMS, WIDTHS[-1], 1, 1)
    state[f'{predictor}.input_proj.bias'] = draw(DIMS)
    state |= linear(f'{predictor}.class_embed.layers.0', HIDDEN, DIMS)
    state |= linear(f'{predictor}.class_embed.layers.1', TEXT, HIDDEN)
    for i in range(3):
        state |= linear(f'{predictor}.mask_embed.layers.{i}', DIMS, DIMS)
    state['clip_adapter.non_object_embedding'] = draw(1, TEXT)
    state['clip_adapter.clip_model.text_projection'] = draw(TEXT, TEXT)
    state['clip_adapter.prompt_learner.prefix_prompt'] = draw(16, TEXT)
    state['criterion.empty_weight'] = torch.ones(4)
    return state
