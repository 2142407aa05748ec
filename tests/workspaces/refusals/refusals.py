"""Modules that run, each of which TorchScript refuses in another way, and some that it takes for something else."""

import math
from typing import List, Optional

import helpers
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class UntypedNumber(nn.Module):
    """A parameter without annotation is a Tensor to TorchScript; this one is an int, two calls down."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def block(self, x, times):
        return helpers.repeat(self.fc(x), times)

    def forward(self, x):
        return self.block(x, 3)


class IndexedList(nn.Module):
    """A ModuleList takes a literal index only."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])
        self.norms = nn.ModuleList([nn.LayerNorm(8) for _ in range(3)])

    def forward(self, x):
        for i in range(3):
            x = self.norms[i](self.layers[i](x))
        return x


class Variadic(nn.Module):
    """`*parts` has no type."""

    def fuse(self, *parts):
        return torch.cat(parts, dim=1)

    def forward(self, x, y):
        return self.fuse(x, y, x * y)


class Guarded(nn.Module):
    """There is no `try`."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        try:
            y = self.fc(x)
        except RuntimeError:
            y = self.fc(x.float())
        return F.softmax(y, dim=1)


class LeavesTheGraph(nn.Module):
    """numpy is out of reach, here and in a decorated helper of another file."""

    def forward(self, x):
        scale = math.sqrt(x.shape[1])
        table = np.arange(x.shape[1])
        bias = torch.from_numpy(table).to(x.dtype)
        mean = helpers.as_numbers(x).mean()
        return (x + bias) / scale - float(mean)


class TwoTypes(nn.Module):
    """A name is one type; which one it is must not depend on a branch."""

    def __init__(self, stacked=False):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.stacked = stacked

    def forward(self, x):
        h = self.fc(x)
        if x.shape[0] > 1000:
            out = h
        else:
            out = [h, x]
        return torch.stack(out) if isinstance(out, list) else out


class Lambda(nn.Module):
    """A lambda has no source that could be compiled, and the empty list no type."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.act = lambda v: v * torch.sigmoid(v)
        self.seen = []

    def forward(self, x):
        x = self.act(self.fc(x))
        self.seen.append(x.shape[0])
        return self.act(x)


class Attention(nn.Module):
    """Scripts as it stands, but `mask` is then a Tensor that is never None: a trap."""

    def __init__(self, dim=8):
        super().__init__()
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)

    def forward(self, x, mask=None):
        scores = self.q(x) @ self.k(x).transpose(-2, -1)
        if mask is not None:
            scores = scores.masked_fill(mask == 0, -1e9)
        return scores.softmax(-1)


class Encoder(nn.Module):
    """Uses `Attention` without a mask: torch refuses that with no word of where."""

    def __init__(self):
        super().__init__()
        self.attention = Attention()

    def forward(self, x):
        return self.attention(x) @ x


class Frozen(nn.Module):
    """Scripts; tracing would keep the branch that the example takes."""

    def forward(self, x):
        if x.sum() > 0:
            return x * 2
        return x - int(x.max())


class Collects(nn.Module):
    """An empty list is a List[Tensor] until something says otherwise."""

    def forward(self, x: Tensor, weights: Optional[List[Tensor]] = None) -> Tensor:
        sizes = []
        for i in range(x.dim()):
            sizes.append(x.size(i))
        total = x.new(*sizes).zero_() + x
        if weights is not None:
            for w in weights:
                total = total + w
        return total
