from typing import List

import torch
import torch.nn as nn
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


class MyDynamicModel(nn.Module):
    def __init__(self, embedding_dim):
        super().__init__()
        self.embedding = nn.Embedding(100, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, 64, batch_first=True)
        self.fc = nn.Linear(64, 5)

    def forward(self, x: List[Tensor]) -> Tensor:
        embedded = [self.embedding(item) for item in x]
        padded = pad_sequence(embedded, batch_first=True)
        output, _ = self.lstm(padded)
        return self.fc(output[:, -1, :])


if __name__ == "__main__":
    model = MyDynamicModel(embedding_dim=32)
    scripted = torch.jit.script(model)
    print(scripted.code)
