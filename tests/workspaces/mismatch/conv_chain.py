from torch import nn


class ConvChain(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)

    def forward(self, x):
        x = self.conv1(x)
        return self.conv2(x)
