import torch


def repeat(x, times):
    for _ in range(times):
        x = torch.relu(x)
    return x


@torch.no_grad()
def as_numbers(x):
    return x.numpy()
