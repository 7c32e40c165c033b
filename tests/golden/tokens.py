"""A method that refines by tokens against its official module."""

import torch

from rein_seg.peft.context import Context
from rein_seg.structures import Anatomy, RunState, StreamSite
from tests.golden.blocks import check

QUERY_LINEARS = ('transform.', 'merge.')


class Module:
    """Our method on an encoder of no blocks, with the official tensors."""

    def __init__(self, golden, method, from_official):
        self.golden, self.config, self.method = golden, golden.meta['config'], method
        depth, channels = self.config['num_layers'], self.config['dim']
        self.sites = tuple(StreamSite(i, 0, i, channels, 'out', ()) for i in range(depth))
        state = RunState(grid=tuple(self.config['hw']))
        prefix = int(self.config['cls'])
        sizes = ((), (), (depth,), (channels,))
        self.anatomy = Anatomy('golden', self.sites, prefix, 1, *sizes, state=state)
        method.build(self.anatomy)
        weights = golden.tensors('weight')
        if not self.config['link']:  # officially these exist, untrained
            weights = {k: v for k, v in weights.items() if not k.startswith(QUERY_LINEARS)}
        stage = method.stages[0]
        stage.load_state_dict(from_official(weights), strict=True)
        own = dict(stage.named_parameters())
        names = {name: next(iter(from_official({name: torch.empty(0)})), None) for name in weights}
        self.params = {
            official: lambda p=own[name]: p.grad for official, name in names.items() if name
        }
        assert len(self.params) == len(own)

    def layer(self, x, index):
        return x + self.method.refine(x, Context(self.sites[index], 'NLC', self.anatomy))

    def check(self, *, chained):
        x = self.golden.tensors('input')['x'].requires_grad_()
        own, y = {}, x
        for index in range(self.config['num_layers']):
            y = self.layer(y if chained else x, index)
            own[f'layer{index}'] = y
        if self.config['link']:
            own['query'] = self.method.queries()
        check(self.golden, own, self.params, x)


def options(config):
    """The arguments that the sidecars of all such methods name alike."""
    return dict(
        num_tokens=config['token_length'],
        rank=config['lora_dim'],
        link_to_queries=config['link'],
        query_dims=config['query_dims'],
        init_patch_size=config['patch'],
    )
