"""SAM's mask decoder without prompts. Official parameter names.

B batch, Q mask tokens, C channels, h x w grid of the image embedding, K classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rein_seg.environment import quiet_imports
from rein_seg.errors import UserError
from rein_seg.heads.mlp import MLP
from rein_seg.heads.sam.two_way import TwoWayTransformer

with quiet_imports():
    from mmpretrain.models.utils import LayerNorm2d


@dataclass(frozen=True)
class Decoded:
    """The result of the decoder.

    Attributes:
        tokens: (B, 1+Q, C), the IoU token first.
        image: (B, h w, C), the embedding after the transformer.
        upscaled: (B, C/8, 4h, 4w), the map that the masks are products with.
        masks: (B, Q, 4h, 4w) logits.
    """

    tokens: Tensor
    image: Tensor
    upscaled: Tensor
    masks: Tensor


class MaskDecoder(nn.Module):
    """Decodes the masks of Q tokens from an image embedding, with no prompt.

    Args:
        embed_dims: C, a multiple of 8.
        num_tokens: Q.
        shared_hypernetwork: Whether all tokens share a hyper-network, as in Conv-LoRA, or each
            token has its own, as in SAM.
        num_classes: K of the class branch, which has K + 1 outputs, the last for "no object". 0
            makes no class branch.
        depth: Blocks of the transformer.
        num_heads: Heads of its attentions.
        hidden: Width of its FFNs.
        downsample: C over the inner width of its attentions between tokens and image.
        norm_eps: Epsilon of its norms: 1e-6 in the Hugging Face port, which Conv-LoRA builds on,
            1e-5 in SAM's own code.
        iou_hidden: Width inside the IoU head. No mask depends on this head; it is here to load
            official files completely.
        iou_outputs: Outputs of the IoU head; SAM has four masks.

    Shapes:
        (B, C, h, w) -> `Decoded`.

    Raises:
        UserError: If C is not divisible as upscaling and attention need it.

    Source: Kirillov et al., ICCV 2023, appendix A; without prompts, Q tokens and the shared
    hyper-network: Zhong et al., "Convolution Meets LoRA" (ICLR 2024).

    Example:
        >>> import torch
        >>> from rein_seg.heads.sam.decoder import MaskDecoder
        >>> decoder = MaskDecoder(embed_dims=16, num_tokens=3, num_heads=2, hidden=16)
        >>> decoder(torch.randn(1, 16, 4, 6)).masks.shape
        torch.Size([1, 3, 16, 24])
    """

    def __init__(
        self,
        embed_dims: int = 256,
        num_tokens: int = 1,
        *,
        shared_hypernetwork: bool = True,
        num_classes: int = 0,
        depth: int = 2,
        num_heads: int = 8,
        hidden: int = 2048,
        downsample: int = 2,
        norm_eps: float = 1e-6,
        iou_hidden: int = 256,
        iou_outputs: int = 4,
    ) -> None:
        super().__init__()
        _check_width(embed_dims, num_heads=num_heads, downsample=downsample)
        self.transformer = TwoWayTransformer(
            embed_dims,
            depth=depth,
            num_heads=num_heads,
            hidden=hidden,
            downsample=downsample,
            norm_eps=norm_eps,
        )
        self.iou_token = nn.Embedding(1, embed_dims)
        self.mask_tokens = nn.Embedding(num_tokens, embed_dims)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(embed_dims, embed_dims // 4, 2, stride=2),
            LayerNorm2d(embed_dims // 4, eps=1e-6),
            nn.GELU(),
            nn.ConvTranspose2d(embed_dims // 4, embed_dims // 8, 2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(embed_dims, embed_dims, embed_dims, embed_dims // 8)
            for _ in range(1 if shared_hypernetwork else num_tokens)
        )
        self.iou_prediction_head = MLP(embed_dims, iou_hidden, iou_hidden, iou_outputs)
        if num_classes:
            self.output_classifier_mlps = nn.Linear(embed_dims, num_classes + 1)
        # the embedding that the prompt encoder gives without prompts; frozen, as officially
        self.register_buffer('no_mask_embed', torch.zeros(1, embed_dims))
        self.register_buffer('positional_encoding', torch.randn(2, embed_dims // 2))

    def forward(self, embedding: Tensor) -> Decoded:
        """Returns tokens, image and masks of a (B, C, h, w) embedding."""
        batch, _, height, width = embedding.shape
        image = (embedding + self.no_mask_embed[..., None, None]).flatten(2).transpose(1, 2)
        tokens = torch.cat((self.iou_token.weight, self.mask_tokens.weight))
        places = fourier_positions(self.positional_encoding, (height, width)).to(image.dtype)
        tokens, image = self.transformer(tokens.expand(batch, -1, -1), image, places[None])
        grid = image.transpose(1, 2).unflatten(2, (height, width))
        upscaled = self.output_upscaling(grid)
        masks = torch.einsum('bqc,bchw->bqhw', self._hyper(tokens[:, 1:]), upscaled)
        return Decoded(tokens, image, upscaled, masks)

    def _hyper(self, tokens: Tensor) -> Tensor:
        """Returns the (B, Q, C/8) weights of each token's mask."""
        networks = self.output_hypernetworks_mlps
        if len(networks) == 1:
            return networks[0](tokens)
        each = zip(networks, tokens.unbind(1), strict=True)
        return torch.stack([network(token) for network, token in each], dim=1)


def fourier_positions(matrix: Tensor, grid: tuple[int, int]) -> Tensor:
    """Computes sines and cosines of 2 pi (x, y) M for the centre of each cell.

    Args:
        matrix: M, (2, C/2); the first row belongs to x.
        grid: (h, w), mapped to -1..1 along both axes.

    Returns:
        (h w, C), in the type of ``matrix``.
    """
    height, width = grid
    y, x = ((torch.arange(n, device=matrix.device) + 0.5) / n * 2 - 1 for n in (height, width))
    places = torch.stack((x.expand(height, width), y[:, None].expand(height, width)), dim=-1)
    angles = 2 * math.pi * (places.flatten(0, 1).to(matrix.dtype) @ matrix)
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


def _check_width(width: int, *, num_heads: int, downsample: int) -> None:
    # upscaling divides the width by eight, attention by downsample and into heads
    if width % 8 or width % (downsample * num_heads):
        raise UserError(
            f'the mask decoder of SAM reads a map of {width} channels; expected a multiple of 8 '
            f'and of downsample * num_heads = {downsample * num_heads} (SAM: 256, the output of '
            "its neck: neck=True in the encoder's config)"
        )
