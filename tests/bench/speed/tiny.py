"""The published system, tiny, without data."""

from tests.paths import REPO

MASK2FORMER = """
model = dict(
    backbone=dict(
        encoder=dict(
            arch=dict(embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=64),
            img_size=64, patch_size=16, out_indices=[0, 1, 2, 3]),
        peft=dict(num_tokens=6, rank=2, query_dims=32)),
    decode_head=dict(
        feat_channels=32, num_queries=6, num_heads=4, encoder_layers=1, decoder_layers=2,
        encoder_hidden=16, decoder_hidden=16, norm_groups=4, loss=dict(num_points=64)))
"""


def mask2former_file(folder):
    """Writes a config of Rein + Mask2Former and returns its path."""
    base = str(REPO / 'configs/rein_tiny_mask2former_miniscapes.py')
    path = folder / 'mask2former.py'
    path.write_text(f'_base_ = [{base!r}]\ndata_root = {str(folder / "none")!r}\n{MASK2FORMER}')
    return str(path)
