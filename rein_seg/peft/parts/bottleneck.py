"""Two linears with an activation between them: the body of adapters on branches.

C channels of the input, D of the output, d hidden.
"""

from __future__ import annotations

from torch import Tensor, nn

from rein_seg.peft.arguments import Act, make_act
from rein_seg.peft.context import Context


class Bottleneck(nn.Module):
    """Computes W_up act(W_down x + b) + b_up over the channels, in any layout.

    Args:
        inputs: C.
        hidden: d.
        outputs: D.
        act: Name of the activation.
        dropout: Probability for the hidden activations, in training.
        stride: Step along the rows and columns of the grid, for an adapter parallel to a strided
            convolution.

    Shapes:
        down: (d, C); up: (D, d).

    Example:
        >>> import torch
        >>> from rein_seg.peft.parts.bottleneck import Bottleneck
        >>> layer = Bottleneck(32, 8, 64, act='gelu', stride=(2, 2))
        >>> layer.on_channels(torch.zeros(1, 14, 14, 32)).shape
        torch.Size([1, 7, 7, 64])
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        *,
        act: Act,
        dropout: float = 0.0,
        stride: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__()
        self.down = nn.Linear(inputs, hidden)
        self.act = make_act(act)
        self.dropout = nn.Dropout(dropout)
        self.up = nn.Linear(hidden, outputs)
        self.stride = stride

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Returns the result in the layout of ``x``, for all tokens."""
        x = context.channels_last(x)
        return context.from_channels_last(self.on_channels(x))

    def on_channels(self, x: Tensor) -> Tensor:
        """Computes (..., C) -> (..., D)."""
        if self.stride != (1, 1):
            x = x[:, :: self.stride[0], :: self.stride[1]]
        return self.up(self.dropout(self.act(self.down(x))))
