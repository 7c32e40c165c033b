"""Two linears with an activation between them: what adapters on branches are made of.

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
        stride: Keeps each so-many-th row and column of the grid, for maps beside a convolution
            that does so.

    Shapes:
        down: (d, C); up: (D, d).
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
        """Returns the result in the layout of ``x``, all tokens included."""
        x = context.channels_last(x)
        return context.from_channels_last(self.on_channels(x))

    def on_channels(self, x: Tensor) -> Tensor:
        """Computes (..., C) -> (..., D)."""
        if self.stride != (1, 1):
            x = x[:, :: self.stride[0], :: self.stride[1]]
        return self.up(self.dropout(self.act(self.down(x))))
