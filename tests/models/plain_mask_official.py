"""Random files in the layouts of EoMT's and PMT's checkpoints, small: width 32, four blocks."""

import torch

WIDTH, DEPTH, HIDDEN, GRID, PATCH = 32, 4, 64, 4, 16
QUERIES, CLASSES = 7, 5
DINOV2 = dict(
    type='DINOv2',
    arch=dict(
        embed_dims=WIDTH,
        num_layers=DEPTH,
        num_heads=2,
        feedforward_channels=HIDDEN,
    ),
    img_size=GRID * PATCH,
    patch_size=PATCH,
    num_registers=4,
    final_norm=True,
    init_seed=0,
)


class Draw:
    """Random tensors by name."""

    def __init__(self, seed=0):
        self.generator = torch.Generator().manual_seed(seed)

    def tensor(self, *shape):
        return 0.2 * torch.randn(*shape, generator=self.generator)

    def linear(self, name, outputs, inputs, *more, bias=True):
        found = {f'{name}.weight': self.tensor(outputs, inputs, *more)}
        return found | ({f'{name}.bias': self.tensor(outputs)} if bias else {})

    def norm(self, name, width=WIDTH):
        return {f'{name}.weight': 1 + self.tensor(width), f'{name}.bias': self.tensor(width)}


def timm_backbone(draw, registers=4):
    """DINOv2 with registers, as timm names it."""
    state = {
        'cls_token': draw.tensor(1, 1, WIDTH),
        'reg_token': draw.tensor(1, registers, WIDTH),
        'pos_embed': draw.tensor(1, GRID * GRID, WIDTH),
        **draw.linear('patch_embed.proj', WIDTH, 3, PATCH, PATCH),
        **draw.norm('norm'),
    }
    for i in range(DEPTH):
        name = f'blocks.{i}'
        state |= draw.norm(f'{name}.norm1') | draw.norm(f'{name}.norm2')
        state |= draw.linear(f'{name}.attn.qkv', 3 * WIDTH, WIDTH)
        state |= draw.linear(f'{name}.attn.proj', WIDTH, WIDTH)
        state |= draw.linear(f'{name}.mlp.fc1', HIDDEN, WIDTH)
        state |= draw.linear(f'{name}.mlp.fc2', WIDTH, HIDDEN)
        state |= {f'{name}.ls{j}.gamma': 1 + draw.tensor(WIDTH) for j in (1, 2)}
    return state


def moved_block(draw, name, hidden):
    """A block of transformers' DINOv3."""
    state = draw.norm(f'{name}.norm1') | draw.norm(f'{name}.norm2')
    for part in 'qkvo':
        state |= draw.linear(f'{name}.attention.{part}_proj', WIDTH, WIDTH, bias=part != 'k')
    state |= draw.linear(f'{name}.mlp.up_proj', hidden, WIDTH)
    state |= draw.linear(f'{name}.mlp.down_proj', WIDTH, hidden)
    return state | {f'{name}.layer_scale{j}.lambda1': 1 + draw.tensor(WIDTH) for j in (1, 2)}


def moved_backbone(draw, registers=2):
    """Transformers' DINOv3, its parts moved to the places of timm's."""
    state = {
        'patch_embed.cls_token': draw.tensor(1, 1, WIDTH),
        'patch_embed.register_tokens': draw.tensor(1, registers, WIDTH),
        **draw.linear('patch_embed.patch_embeddings', WIDTH, 3, PATCH, PATCH),
        **draw.norm('norm'),
    }
    for i in range(DEPTH):
        state |= moved_block(draw, f'blocks.{i}', HIDDEN)
    return state


def head(draw, blocks):
    """Queries, predictors and upscale blocks, as both models have them."""
    state = {
        'attn_mask_probs': torch.zeros(blocks),
        'q.weight': draw.tensor(QUERIES, WIDTH),
        **draw.linear('class_head', CLASSES + 1, WIDTH),
    }
    for i in (0, 2, 4):
        state |= draw.linear(f'mask_head.{i}', WIDTH, WIDTH)
    for i in range(2):
        name = f'upscale.{i}'
        state |= draw.linear(f'{name}.conv1', WIDTH, WIDTH, 2, 2)
        state |= draw.linear(f'{name}.conv2', WIDTH, 1, 3, 3, bias=False)
        state |= draw.norm(f'{name}.norm')
    return state


def pixels():
    """Mean and deviation of images, buffers of the encoder."""
    values = {'pixel_mean': (0.485, 0.456, 0.406), 'pixel_std': (0.229, 0.224, 0.225)}
    return {f'encoder.{name}': torch.tensor(x).reshape(1, 3, 1, 1) for name, x in values.items()}


def below(prefix, state):
    return {f'{prefix}{name}': tensor for name, tensor in state.items()}


def eomt_state(*, moved=False, blocks=2, seed=0):
    """A whole checkpoint of EoMT; ``moved``: on DINOv3."""
    draw = Draw(seed)
    backbone = moved_backbone(draw) if moved else timm_backbone(draw)
    network = head(draw, blocks) | pixels() | below('encoder.backbone.', backbone)
    return below('network.', network) | {'criterion.empty_weight': torch.ones(CLASSES + 1)}


def pmt_state(*, levels=4, blocks=3, fused=False, lateral='mlp', seed=0):
    """A checkpoint of PMT without its encoder; ``fused``: one linear for queries, keys, values."""
    draw = Draw(seed)
    decoder = head(draw, blocks) | draw.norm('decoder_norm')
    network = {}
    for i in range(levels):
        decoder[f'scalers.{i}'] = 1 + draw.tensor(WIDTH)
        if lateral == 'mlp':
            decoder |= draw.linear(f'lateral_projections.{i}.0', WIDTH // 2, WIDTH)
            decoder |= draw.linear(f'lateral_projections.{i}.2', WIDTH, WIDTH // 2)
        else:
            decoder |= draw.linear(f'lateral_projections.{i}', WIDTH, WIDTH)
        network |= draw.norm(f'bn.{i}')
        network[f'bn.{i}.running_mean'] = draw.tensor(WIDTH)
        network[f'bn.{i}.running_var'] = 1 + draw.tensor(WIDTH).abs()
        network[f'bn.{i}.num_batches_tracked'] = torch.tensor(9)
    for i in range(blocks):
        block = moved_block(draw, f'blocks.{i}', WIDTH)
        decoder |= fuse(block, f'blocks.{i}.attention.') if fused else block
    return below('network.', network | below('decoder.', decoder))


def fuse(block, place):
    """Joins queries, keys and values; the bias of keys is zero."""
    parts = {k: block.pop(f'{place}{k}_proj.weight') for k in 'qkv'}
    biases = {k: block.pop(f'{place}{k}_proj.bias', torch.zeros(WIDTH)) for k in 'qkv'}
    block[f'{place}qkv_proj.weight'] = torch.cat(list(parts.values()))
    block[f'{place}qkv_proj.bias'] = torch.cat(list(biases.values()))
    return block
