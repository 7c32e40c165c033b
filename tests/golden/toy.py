"""An encoder of a few operations, for vectors of methods that change single ones."""

from torch import nn

from rein_seg.structures import Anatomy, NormSite, OpSite, Tap
from tests.golden.collect import assert_gradient


class Toy(nn.Module):
    """Modules by role, one block each, with the GELU between two that a golden case may have.

    Args:
        modules: Role -> linear, convolution or norm.
        parts: Names of the equal slices of a fused operation's output.
    """

    def __init__(self, modules, parts=()):
        super().__init__()
        self.ops = nn.ModuleDict(modules).requires_grad_(False).eval()
        self.anatomy = Anatomy(
            'toy',
            tuple(self._site(i, role, op, parts) for i, (role, op) in enumerate(self.ops.items())),
            num_prefix=0,
            patch_size=1,
            out_channels=(),
            out_strides=(),
            stage_depths=(len(modules),),
            stage_channels=(1,),
        )

    @staticmethod
    def _site(index, role, op, parts):
        planes = isinstance(op, (nn.Conv2d, nn.BatchNorm2d))
        tap = Tap(op, 'output', 'NCHW' if planes else 'NLC')
        place = (index, 0, index, op.weight.shape[0])
        if not isinstance(op, (nn.Linear, nn.Conv2d)):
            return NormSite(*place, role, role, tap)
        width = len(op.weight) // max(1, len(parts))
        slices = tuple((part, i * width, (i + 1) * width) for i, part in enumerate(parts))
        return OpSite(*place, role, role, tap, slices)

    def forward(self, x):
        first, *others = self.ops.values()
        x = first(x)
        for op in others:
            x = op(nn.functional.gelu(x))
        return x

    def attach(self, method):
        method.attach(self, self.anatomy)
        return method.eval()


def operation(config, weight, bias=None):
    """A frozen linear or convolution with these tensors, built from a sidecar's config."""
    if weight.dim() == 2:
        op = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    else:
        op = nn.Conv2d(
            weight.shape[1] * config.get('groups', 1),
            weight.shape[0],
            tuple(weight.shape[2:]),
            stride=config.get('stride', 1),
            padding=config.get('padding', config.get('pad', 0)),
            groups=config.get('groups', 1),
            bias=bias is not None,
        )
    op.load_state_dict({'weight': weight} | ({} if bias is None else {'bias': bias}))
    return op


def assert_output(y, golden, name='output', key='y'):
    tolerance = golden.meta['tolerance']['output_max_abs'][key]
    error = (y - golden.tensors(name)[key]).abs().max()
    assert error <= tolerance, f'{name}: {error} > {tolerance}'


def check_gradients(toy, golden, own):
    """Compares output and the gradients of input and of ``own``: official name -> (param, view).

    ``view`` turns our gradient into the official shape.
    """
    x = golden.tensors('input')['x'].requires_grad_()
    y = toy(x)
    assert_output(y, golden)
    (y * golden.tensors('cotangent')['y']).sum().backward()
    grads = golden.tensors('grad')
    assert set(own) == {name for name in grads if not name.startswith(('input.', 'orthogonal_'))}
    assert_gradient(x.grad, grads['input.x'], 'x')
    for name, (param, view) in own.items():
        assert_gradient(view(param.grad).reshape(grads[name].shape), grads[name], name)


def same(grad):
    return grad


def fill_ssf(method, anatomy, places, weights):
    """Gives SSF the official values; returns its parameters by official name.

    ``places``: role -> official names of scale and shift.
    """
    own = {}
    for site in method.find_sites(anatomy):
        layer = method.layers[site.name.replace('.', '_')]
        for name, param in zip(places[site.role], (layer.scale, layer.shift), strict=True):
            param.data.copy_(weights[name])
            own[name] = param
    return own
