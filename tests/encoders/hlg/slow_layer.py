"""Attention of a layer of HLG, one pixel and one window at a time, with real members only.

It shares no code with the layer but its parameters. Places of windows and members are as the paper
draws them: side by side, or spread over the map.
"""

import torch


def bias_of(position, down, across):
    """The bias of each head for one offset."""
    hidden = position.pos_proj(torch.tensor([down, across], dtype=torch.double))
    for part in (position.pos1, position.pos2, position.pos3):
        hidden = part(hidden)
    return hidden


def weigh(q, keys, values, biases, heads):
    """Attention of one query: (C,), lists of (C,), lists of (h,)."""
    d = len(q) // heads
    parts = []
    for h in range(heads):
        own = slice(h * d, (h + 1) * d)
        scores = [k[own] @ q[own] / d**0.5 + b[h] for k, b in zip(keys, biases, strict=True)]
        weights = torch.stack(scores).softmax(0)
        parts.append(sum(w * v[own] for w, v in zip(weights, values, strict=True)))
    return torch.cat(parts)


def windows_of(size, *, dilated, side=7):
    """Each window: its centre, and member -> pixel for the members on the map."""
    count = [-(-length // side) for length in size]

    def place(a, i, n):
        return a + n * i if dilated else side * a + i

    found = []
    for a in range(count[0]):
        for b in range(count[1]):
            centre = [place(w, (side - 1) / 2, n) for w, n in zip((a, b), count, strict=True)]
            members = {
                (i, j): (place(a, i, count[0]), place(b, j, count[1]))
                for i in range(side)
                for j in range(side)
                if place(a, i, count[0]) < size[0] and place(b, j, count[1]) < size[1]
            }
            found.append((centre, members))
    return found


def attention(layer, y, size, prompts=0):
    """The tokens after the attention, of (P + H W, C) tokens in double precision."""
    heads, windows = layer.num_heads, windows_of(size, dilated=layer.dilated)
    zero = torch.zeros(heads, dtype=torch.double)
    pixel = lambda place: prompts + place[0] * size[1] + place[1]  # noqa: E731
    normed = layer.norm0(y)
    s, v = layer.q(normed), layer.v(normed)
    local = [[] for _ in y]
    for _, members in windows:
        keys = [*range(prompts), *map(pixel, members.values())]
        for query in (None,) * prompts, members:
            for number, place in enumerate(query):
                token = number if place is None else pixel(members[place])
                biases = [zero] * prompts + [
                    zero
                    if place is None
                    else bias_of(layer.pos_local, place[0] - m[0], place[1] - m[1])
                    for m in members
                ]
                result = weigh(s[token], [s[k] for k in keys], [v[k] for k in keys], biases, heads)
                local[token].append(result)
    local = torch.stack([torch.stack(each).mean(0) for each in local])
    z = y + local
    means = [z[[pixel(m) for m in members.values()]].mean(0) for _, members in windows]
    t = layer.h0_norm(torch.stack([*z[:prompts], *means]))
    keys, values = list(layer.k(t)), list(layer.v(t))
    grid = layer.norm1(local)[prompts:].t().unflatten(1, size)[None]
    around = layer.aux_q(grid)[0].flatten(1).t()
    q = torch.cat((s[:prompts], s[prompts:] + around))
    mixed = []
    for token in range(len(y)):
        down, across = divmod(token - prompts, size[1])
        biases = [zero] * prompts + [
            zero
            if token < prompts
            else bias_of(layer.pos_global, down - centre[0], across - centre[1])
            for centre, _ in windows
        ]
        mixed.append(weigh(q[token], keys, values, biases, heads))
    return z + layer.global_attn.proj(torch.stack(mixed))
