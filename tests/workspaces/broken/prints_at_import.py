import os
import sys

from torch import nn

print("Content-Length: 5\r\n\r\nhello")
sys.stdout.flush()
os.write(1, b"Content-Length: 5\r\n\r\nhello")


class Prints(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        print("forward")
        return self.fc(x)
