"""The last step of a CLIP image tower: from tokens to the space that image and text share.

B batch, N patch tokens, P prefix tokens, C channels, H x W grid, D width of the shared space.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rein_seg.encoders.checks import check_count
from rein_seg.encoders.sites import norm_site
from rein_seg.errors import UserError
from rein_seg.structures import JointSite, Site, Tap


class JointSpace(nn.Module):
    """Norms and projects all tokens of the last block.

    OpenAI's model projects the class token alone; DenseCLIP and ZegCLIP project all tokens.

    Args:
        channels: C.
        dims: D.
        num_prefix: P, tokens in front of the patches, the class token first.

    Shapes:
        tokens (B, P+N, C), grid (H, W) -> global (B, D) and dense (B, D, H, W), not normalised.

    Source: Radford et al., ICML 2021 (``ln_post`` and ``proj``).

    Example:
        >>> import torch
        >>> from rein_seg.encoders.plain_vit.joint import JointSpace
        >>> whole, dense = JointSpace(16, dims=8)(torch.zeros(2, 1 + 6, 16), (2, 3))
        >>> whole.shape, dense.shape
        (torch.Size([2, 8]), torch.Size([2, 8, 2, 3]))
    """

    def __init__(self, channels: int, *, dims: int, num_prefix: int = 1) -> None:
        super().__init__()
        self.dims, self.num_prefix = dims, num_prefix
        self.ln_post = nn.LayerNorm(channels)
        self.proj = nn.Parameter(torch.empty(channels, dims))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the projection as OpenAI's code does: outputs are about 1."""
        nn.init.normal_(self.proj, std=len(self.proj) ** -0.5)

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Returns global and dense embedding."""
        tokens = self.ln_post(tokens) @ self.proj
        dense = tokens[:, self.num_prefix :].transpose(1, 2).unflatten(2, grid)
        return tokens[:, 0], dense


def joint_space(channels: int, dims: int | None) -> JointSpace | None:
    """Returns the `JointSpace` of an encoder with one class token; None without ``joint_dims``.

    Raises:
        UserError: If ``dims`` is no whole number of at least 1.
    """
    return None if dims is None else JointSpace(channels, dims=check_count('joint_dims', dims))


def joint_sites(encoder: nn.Module) -> list[Site]:
    """Returns the sites of an encoder's `JointSpace`: its input and its norm."""
    place = (-1, 0, -1, encoder.embed_dims)
    tap = Tap(encoder.joint, 'input', 'NLC')
    return [JointSite(*place, tap), norm_site(encoder, 'joint.ln_post', 'joint', place)]


def norm_of_joint(tensors: Mapping[str, Tensor], *sources: str) -> dict[str, Tensor]:
    """Adds the norm in front of a joint space as the encoder's final norm, ``ln1``.

    Args:
        tensors: Of a file; with an ``ln1`` they stay as they are.
        sources: Names that the norm can have in the file.

    Raises:
        UserError: If the file has neither.

    Example:
        >>> from rein_seg.encoders.plain_vit.joint import norm_of_joint
        >>> norm_of_joint({'ln_post.weight': 1, 'ln_post.bias': 2}, 'ln_post')
        {'ln_post.weight': 1, 'ln_post.bias': 2, 'ln1.weight': 1, 'ln1.bias': 2}
    """
    if 'ln1.weight' in tensors:
        return dict(tensors)
    source = next((name for name in sources if f'{name}.weight' in tensors), None)
    if source is None:
        raise UserError(
            f'the weights file has no final norm ({" or ".join(sources)}), which '
            'encoder.final_norm=True keeps: take a file of the whole image tower, or set '
            'encoder.final_norm=False'
        )
    return {
        **tensors,
        **{f'ln1.{leaf}': tensors[f'{source}.{leaf}'] for leaf in ('weight', 'bias')},
    }


def check_joint(encoder: nn.Module, tensors: Mapping[str, Tensor], last: str) -> None:
    """Checks that a file holds the joint space of an encoder, in its width.

    Args:
        encoder: With a module ``joint``.
        tensors: Of the file, by the encoder's names.
        last: Name of the tensor that gives the width: (C, D), or (D, C) for a weight of a linear.

    Raises:
        UserError: If not.
    """
    dims, found = encoder.joint.dims, tensors.get(last)
    missing = [f'joint.{name}' for name in encoder.joint.state_dict()]
    missing = [name for name in missing if name not in tensors]
    if found is None or missing:
        raise UserError(
            f'the weights file has no {", ".join(missing)}, which encoder.joint_dims={dims} needs: '
            'take a file of the whole image tower, or set encoder.joint_dims=None for maps alone'
        )
    width = found.shape[0 if last.endswith('.weight') else -1]
    if width != dims:
        raise UserError(
            f'the joint space of the weights file is {width} wide, the encoder has '
            f'joint_dims={dims}: set encoder.joint_dims={width}, or take another file'
        )
