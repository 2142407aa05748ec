import torch
from refusals import Attention, Collects, Encoder, Frozen, Guarded, IndexedList, Lambda, LeavesTheGraph, TwoTypes
from refusals import UntypedNumber, Variadic

if __name__ == "__main__":
    x = torch.randn(4, 8)
    for module in (UntypedNumber(), IndexedList(), Guarded(), LeavesTheGraph(), TwoTypes(), Lambda(), Frozen()):
        print(module(x).shape)
    print(Variadic()(x, torch.randn(4, 8)).shape)
    print(Attention()(torch.randn(2, 5, 8), torch.ones(2, 5, 5)).shape)
    print(Encoder()(torch.randn(2, 5, 8)).shape)
    print(Collects()(x, [torch.randn(4, 8)]).shape)
