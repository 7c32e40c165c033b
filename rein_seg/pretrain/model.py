"""The model of the pretraining: it sees a part of a picture and predicts its neutral view.

B batch, N patches, V visible patches, G guessed patches, C channels, T numbers a patch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rein_seg.encoders.plain_vit.model import PlainViT
from rein_seg.encoders.random_init import draw_weights, sine_positions
from rein_seg.pretrain.targets import NUM_COLOURS, NUM_EDGES


class NeutralView(nn.Module):
    """Predicts colours and edges of a street in neutral light from parts of a picture of it.

    Visible patches have a random look and must be predicted in neutral light, so the features must
    separate surface and weather. Hidden patches are guessed through a single layer of
    cross-attention to the visible patches, so the features must describe the objects around them.

    Args:
        encoder: Encoder; its blocks see the visible patches only.
        seed: Seed of the initial weights, the encoder's included.

    Shapes:
        images (B, 3, H, W) normalised, visible (B, V), guessed (B, G) patch numbers ->
        predictions (B, V+G, T).

    Source: He et al., CVPR 2022 (visible patches only); MaskFeat, CVPR 2022 (edges). Differs from
    them: another look is predicted, of visible patches too.
    """

    def __init__(self, encoder: PlainViT, *, seed: int) -> None:
        super().__init__()
        self.encoder = encoder
        width = encoder.embed_dims
        self.norm = nn.LayerNorm(width)
        self.query_norm = nn.LayerNorm(width)
        self.cross = nn.MultiheadAttention(width, 6, batch_first=True)
        self.mix_norm = nn.LayerNorm(width)
        self.mix = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.out_norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, NUM_COLOURS + NUM_EDGES)
        self.unseen = nn.Parameter(torch.zeros(1, 1, width))  # the query of a hidden patch
        places = sine_positions(encoder.patch_resolution, width)
        self.register_buffer('places', places, persistent=False)
        draw_weights(encoder, seed)
        self._start(seed)

    def _start(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for name, param in self.named_parameters():
            if param.dim() == 2:
                nn.init.trunc_normal_(param, std=0.02, generator=generator)
            elif name.endswith('bias'):
                nn.init.zeros_(param)
        # the patch embedding starts as in MAE; positions are about as strong as its output
        patch = self.encoder.patch_embed.projection.weight
        nn.init.xavier_uniform_(patch.view(len(patch), -1), generator=generator)
        with torch.no_grad():
            self.encoder.pos_embed.mul_(0.5)

    def forward(self, images: Tensor, visible: Tensor, guessed: Tensor) -> Tensor:
        """Returns predictions of the visible patches, then of the guessed patches."""
        seen = self.norm(self.encode(images, visible))
        queries = self.unseen + _take(self.places.expand(len(images), -1, -1), guessed)
        asked = self.query_norm(queries)
        guesses = queries + self.cross(asked, seen, seen, need_weights=False)[0]
        guesses = guesses + self.mix(self.mix_norm(guesses))
        return self.head(torch.cat((seen[:, 1:], self.out_norm(guesses)), dim=1))

    def encode(self, images: Tensor, visible: Tensor) -> Tensor:
        """Returns (B, 1+V, C): class token and visible patches after the last block."""
        encoder = self.encoder
        x, grid = encoder.patch_embed(images)
        positions = encoder.positions(grid)
        x = _take(x + positions[:, 1:], visible)
        x = torch.cat(((encoder.cls_token + positions[:, :1]).expand(len(x), -1, -1), x), dim=1)
        for layer in encoder.layers:
            x = layer(x)
        return x


def prediction_loss(predicted: Tensor, targets: Tensor, places: Tensor) -> Tensor:
    """Returns the mean smooth L1 error; colours and edges have equal weight.

    Args:
        predicted: (B, V+G, T).
        targets: (B, N, T).
        places: (B, V+G) patch numbers.
    """
    error = F.smooth_l1_loss(predicted.float(), _take(targets, places), reduction='none', beta=0.5)
    return error[..., :NUM_COLOURS].mean() + error[..., NUM_COLOURS:].mean()


def _take(tokens: Tensor, places: Tensor) -> Tensor:
    """Selects tokens by number: (B, N, C), (B, V) -> (B, V, C)."""
    return tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[-1]))
