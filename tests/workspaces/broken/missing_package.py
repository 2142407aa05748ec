import no_such_package_anywhere
from torch import nn


class Needs(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(x)


class Uses(nn.Module):
    def forward(self, x):
        return no_such_package_anywhere.apply(x)
