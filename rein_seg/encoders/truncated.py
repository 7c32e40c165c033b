"""A linear layer that starts as vision transformers do, in an encoder or a head."""

from __future__ import annotations

from torch import nn


class TruncatedLinear(nn.Linear):
    """A linear layer whose weight starts truncated normal, deviation 0.02, and whose bias at 0.

    The start belongs to the layer, so random weights of `init_seed` have it, too.

    Example:
        >>> from rein_seg.encoders.truncated import TruncatedLinear
        >>> linear = TruncatedLinear(64, 64)
        >>> bool(linear.weight.std() < 0.03), bool(linear.bias.any())
        (True, False)
    """

    def reset_parameters(self) -> None:
        """Draws the weight."""
        nn.init.trunc_normal_(self.weight, std=0.02)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
