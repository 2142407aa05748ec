"""What is said of torch's transformers that are given masks: their sizes are as free as those of the sequences."""

from __future__ import annotations

from pathlib import Path

from inference_helpers import report
from torch.nn.modules import transformer

from ts_shape_server.agent.infer.running import causal_masks

MASKED = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.embedding = nn.Embedding(20, 16)

    def forward(self, source, mask):
        return self.encoder(self.embedding(source), mask)
"""


def test_the_mask_of_an_encoder_is_as_long_as_its_sequence(tmp_path: Path) -> None:
    said = report(tmp_path, MASKED)
    source, mask = (item["dims"] for item in said["inputs"])
    assert mask == [source[0], source[0]]
    assert not any(str(size).isdigit() for size in source)


def test_torch_asks_again_afterwards() -> None:
    usual = getattr(transformer, "_detect_is_causal_mask", None)
    with causal_masks.unread():
        pass
    assert getattr(transformer, "_detect_is_causal_mask", None) is usual
