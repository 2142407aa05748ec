from torch import nn


class Cut(nn.Module):
    def forward(self, x:
        return x
