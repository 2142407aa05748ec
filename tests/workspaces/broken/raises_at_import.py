from torch import nn

raise RuntimeError("the weights are not there")


class Behind(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(x)
