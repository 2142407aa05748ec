import torch
from torch import nn


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.image = nn.Linear(16, 8)
        self.text = nn.Linear(12, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, batch):
        joined = self.image(batch["image"]) + self.text(batch["text"])
        return self.head(joined)


if __name__ == "__main__":
    model = TwoInputs()
    print(model({"image": torch.randn(4, 16), "text": torch.randn(4, 12)}).shape)
