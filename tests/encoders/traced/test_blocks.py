"""What is a block: residual sums, and what only looks like one."""

import torch
from torch import nn

from rein_seg.encoders.traced import record
from rein_seg.encoders.traced.blocks import find_blocks, parallel_operations
from rein_seg.encoders.traced.flow import Flow


class Block(nn.Module):
    """Two convolutions in a branch; with a stride the shortcut is a convolution."""

    def __init__(self, inputs, outputs, *, stride=1, skip=True):
        super().__init__()
        self.a = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.b = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.project = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()
        self.skip = skip

    def forward(self, x):
        y = self.b(self.a(x).relu())
        if self.skip:
            y += self.project(x)
        return y


class Parallel(nn.Module):
    """A sum of two convolutions of the same input, as in RepVGG."""

    def __init__(self, width):
        super().__init__()
        self.a, self.b = nn.Conv2d(width, width, 3, 1, 1), nn.Conv2d(width, width, 1)

    def forward(self, x):
        return self.a(x) + self.b(x)


class Hierarchical(nn.Module):
    """Groups of channels added to each other inside, as in Res2Net."""

    def __init__(self, width):
        super().__init__()
        self.a, self.b = nn.Conv2d(width, width, 1), nn.Conv2d(width // 2, width // 2, 3, 1, 1)
        self.c = nn.Conv2d(width, width, 1)

    def forward(self, x):
        first, second = self.a(x).chunk(2, 1)
        return x + self.c(torch.cat((first, self.b(first) + second), 1))


def blocks(*parts):
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(*parts))
    return find_blocks(Flow(record(network, torch.randn(1, 3, 8, 8))))


def test_a_shortcut_may_be_a_convolution():
    found = blocks(Block(4, 4), Block(4, 8, stride=2))
    assert [(block.name, len(block.sums)) for block in found] == [('1.0', 1), ('1.1', 1)]
    assert [len(block.sums[0].skip_ops) for block in found] == [0, 1]
    assert [len(block.sums[0].branch_ops) for block in found] == [3, 3]


def test_a_like_module_without_a_shortcut_is_a_block_without_a_sum():
    found = blocks(Block(4, 6, skip=False), Block(6, 6))
    assert [(block.name, len(block.sums)) for block in found] == [('1.0', 0), ('1.1', 1)]


def test_a_sum_of_parallel_convolutions_is_no_residual_sum():
    assert not any(block.sums for block in blocks(Parallel(4), Parallel(4)))
    network = nn.Sequential(nn.Conv2d(3, 4, 1), Parallel(4))
    flow = Flow(record(network, torch.randn(1, 3, 8, 8)))
    assert [
        flow.record.calls[flow.record.ops[n].call].name for n in sorted(parallel_operations(flow))
    ] == ['1.a', '1.b']


def test_sums_inside_a_branch_are_no_residual_sums():
    (found,) = blocks(Hierarchical(4))
    assert found.name == '1.0' and len(found.sums) == 1
    assert len(found.sums[0].skip_ops) == 0


def test_what_leads_to_no_output_is_left_out():
    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.used, self.unused = nn.Conv2d(3, 4, 1), Block(4, 4), Block(4, 4)

        def forward(self, x):
            x = self.used(self.stem(x))
            self.unused(x)
            return x

    found = find_blocks(Flow(record(Unused(), torch.randn(1, 3, 4, 4))))
    assert [block.name for block in found] == ['used']
