import torch
from torch import nn


class MyModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(10, 5)

    def forward(self, x):
        return self.fc(x)


def mock_dataloader():
    for _ in range(8):
        yield torch.randn(3, 10)


if __name__ == "__main__":
    model = MyModel()
    for data in mock_dataloader():
        traced = torch.jit.trace(model, data)
        break
    print(traced.graph)
