"""Random files in the layout of ZegCLIP's checkpoints; run as a program, one of full size.

    python -m tests.models.zegclip_official [FILE]

writes a file of ViT-B/16 at 512 pixels (0.7 GB, kept), loads it through the recipe of PASCAL VOC
and predicts one image on the CPU; prints the coverage, the seconds and the peak memory.
"""

import resource
import subprocess
import sys
import time
from pathlib import Path

import torch

FULL = dict(width=768, layers=12, joint=512, grid=32, patch=16, tokens=10)
TEXT = dict(width=512, layers=12, vocabulary=49408, length=77)
VOC, SIDE = 20, 512


def tower_state(prefix, width, layers, draw):
    """The blocks of one of CLIP's towers."""
    state = {}
    for i in range(layers):
        block = f'{prefix}transformer.resblocks.{i}.'
        state |= {
            f'{block}attn.in_proj_weight': draw(3 * width, width),
            f'{block}attn.in_proj_bias': draw(3 * width),
            **linear(f'{block}attn.out_proj', width, width, draw),
            **linear(f'{block}mlp.c_fc', 4 * width, width, draw),
            **linear(f'{block}mlp.c_proj', width, 4 * width, draw),
            **norm(f'{block}ln_1', width),
            **norm(f'{block}ln_2', width),
        }
    return state


def linear(name, outputs, inputs, draw):
    return {f'{name}.weight': draw(outputs, inputs), f'{name}.bias': draw(outputs)}


def norm(name, width):
    return {f'{name}.weight': torch.ones(width), f'{name}.bias': torch.zeros(width)}


def official_state(*, width, layers, joint, grid, patch, tokens, text, classes, seed=0):
    """A whole checkpoint with random values: prompted tower, text tower, head, criterion."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return 0.02 * torch.randn(*shape, generator=generator)

    image, words, head = 'backbone.', 'text_encoder.', 'decode_head.'
    state = {
        f'{image}class_embedding': draw(width),
        f'{image}positional_embedding': draw(1 + grid * grid, width),
        f'{image}proj': draw(width, joint),
        f'{image}prompt_embeddings': draw(1, tokens, width),
        f'{image}deep_prompt_embeddings': draw(layers - 1, tokens, width),
        f'{image}conv1.weight': draw(width, 3, patch, patch),
        **norm(f'{image}ln_pre', width),
        **tower_state(image, width, layers, draw),
        **norm(f'{image}ln_post', width),
        **linear(f'{image}prompt_proj', width, width, draw),
        **norm(f'{image}prompt_norm', width),
        f'{words}positional_embedding': draw(text['length'], text['width']),
        f'{words}text_projection': draw(text['width'], joint),
        **tower_state(words, text['width'], text['layers'], draw),
        f'{words}token_embedding.weight': draw(text['vocabulary'], text['width']),
        **norm(f'{words}ln_final', text['width']),
        **linear(f'{head}q_proj', joint, 2 * joint, draw),
        f'{head}loss_decode.criterion.empty_weight': torch.ones(classes + 1),
    }
    for i in range(3):
        layer = f'{head}decoder_1.layers.{i}.'
        state |= {
            f'{layer}self_attn.in_proj_weight': draw(3 * joint, joint),
            f'{layer}self_attn.in_proj_bias': draw(3 * joint),
            **linear(f'{layer}self_attn.out_proj', joint, joint, draw),
            **linear(f'{layer}linear1', 4 * joint, joint, draw),
            **linear(f'{layer}linear2', joint, 4 * joint, draw),
        }
        for part in 'qkv':
            state |= linear(f'{layer}multihead_attn.{part}', joint, joint, draw)
        state |= linear(f'{layer}multihead_attn.proj', joint, joint, draw)
        for index in (1, 2, 3):
            state |= norm(f'{layer}norm{index}', joint)
    return state


def measure(path):
    """Loads the file of full size and predicts one image; prints what that takes."""
    import numpy as np

    from rein_seg.apis import init_model, load_config, predict
    from rein_seg.run.weights import load_weights

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    options = {'model.backbone.encoder.checkpoint': path}
    cfg = load_config('configs/zegclip_clip_base_voc.py', cfg_options=options)
    model = init_model(cfg, device='cpu')
    print(load_weights(model, path))  # noqa: T201
    loaded = time.perf_counter()
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    label = predict(model, image)
    done = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f'{label.shape} labels, classes {sorted(set(label.flatten().tolist()))}')  # noqa: T201
    print(  # noqa: T201
        f'loaded in {loaded - started:.1f} s, one image of {SIDE} x {SIDE} in '
        f'{done - loaded:.2f} s on {torch.get_num_threads()} threads; peak memory '
        f'{peak / 2**20:.2f} GiB, of which Python and PyTorch {before / 2**20:.2f}'
    )


def write(path):
    """Writes a file of full size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = official_state(**FULL, text=TEXT, classes=VOC)
    torch.save({'meta': {'mmseg_version': '0.24.0'}, 'state_dict': state}, path)


def main():
    path = Path(sys.argv[-1] if len(sys.argv) > 1 else 'checkpoints/zegclip_random.pth')
    if '--write' in sys.argv:
        write(path)
    elif '--measure' in sys.argv:
        measure(str(path))
    else:  # processes of their own: the peak is that of loading and predicting alone
        steps = ['--measure'] if path.exists() else ['--write', '--measure']
        for step in steps:
            command = [sys.executable, '-m', 'tests.models.zegclip_official', step, str(path)]
            subprocess.run(command, check=True)


if __name__ == '__main__':
    main()
