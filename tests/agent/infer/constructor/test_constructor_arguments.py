"""Constructor arguments that nobody gave: found by what the constructor asks of them, and by what its errors say.

Each case is the text of a file with a class `Net` that must come to run, and expressions that its arguments must be.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from inference_helpers import report

LINEAR = "self.layer = nn.Linear({}, 4)"


def net(constructor: str, arguments: str, forward: str = "return self.layer(x)", inputs: str = "x") -> str:
    body = "\n".join(f"        {line}" for line in constructor.split("; "))
    return (
        f"class Net(nn.Module):\n    def __init__(self, {arguments}):\n        super().__init__()\n{body}\n"
        f"    def forward(self, {inputs}):\n        {forward}\n"
    )


LAYER = """
class AttentionLayer(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.query = nn.Linear(size, size)
        self.size = size

    def forward(self, query, memory):
        return self.query(query) + memory

"""

BLOCKS = """
class Basic(nn.Module):
    expansion = 1

    def __init__(self, width, depth):
        super().__init__()
        self.layer = nn.Linear(width, depth)

    def forward(self, x):
        return self.layer(x)

class Bottleneck(Basic):
    expansion = 4

"""

CASES = {
    "a flag of a config that asks for a file": (
        net("""self.layer = nn.Linear(cfg.width, 4); if cfg.static: open(cfg.path)""", "cfg"),
        {},
    ),
    "a part of a config that is gone through": (
        net("self.layer = nn.Linear(sum(int(item) for item in cfg.widths.split('x') if item.isdigit()) + 8, 4)", "cfg"),
        {},
    ),
    "another class of the file than the first": (
        BLOCKS
        + net(
            "down = nn.Linear(4, 4) if block.expansion > 1 else None; self.down = down.bias; self.layer = block(4, 4)",
            "block",
        ),
        {"block": "Bottleneck"},
    ),
    "an instance of what a class was taken for": (
        net("self.layer = nn.Sequential(*backbone.children())", "backbone"),
        {},
    ),
    "a buffer": (
        net("self.register_buffer('lap', lap); self.layer = nn.Linear(8, 4)", "lap"),
        {"lap": "torch.ones(16, 16)"},
    ),
    "an array of numpy's": (
        net("self.layer = nn.Embedding.from_pretrained(torch.from_numpy(vectors))", "vectors"),
        {"vectors": "torch.ones(16, 16).numpy()"},
    ),
    "a module that is gone through": (
        net("self.parts = seq_module", "seq_module", "for part in self.parts: x = part(x)\n        return x"),
        {},
    ),
    "a loss whose way to reduce is set": (
        net(
            "self.loss_fcn = loss_fcn; self.reduction = loss_fcn.reduction; self.loss_fcn.reduction = 'none'",
            "loss_fcn",
            "return (self.loss_fcn(x, true) * true.shape[1]).mean()",
            "x, true",
        ),
        {"loss_fcn": "nn.BCEWithLogitsLoss()"},
    ),
    "a loss that gets two values": (
        net("self.criterion = criterion", "criterion", "return self.criterion(x, true)", "x, true"),
        {"criterion": "nn.BCEWithLogitsLoss()"},
    ),
    "what is called like a loss and gets one value": (
        net("self.loss = loss", "loss", "return self.loss(x)"),
        {"loss": "nn.Identity()"},
    ),
    "a number that is called like a loss": (net("self.loss = loss * 2", "loss", "return x * self.loss"), {}),
    "a number of bins that is no list": (
        net("self.layer = nn.LSTM(num_bins, 8)", "num_bins", "return self.layer(x)[0]"),
        {"num_bins": "16"},
    ),
    "blocks by their number": (
        net("self.layer = nn.Sequential(*[nn.Linear(8, 8) for _ in range(resblk_num)])", "resblk_num"),
        {"resblk_num": "2"},
    ),
    "a size that another one stands in for": (
        BLOCKS
        + net(
            "self.layer = nn.Sequential(*self.parts(block, in_planes, out_planes))",
            "in_planes, out_planes, block",
        )
        + "\n    def parts(self, block, in_planes, out_planes):\n"
        "        return [block(i == 0 and in_planes or out_planes, out_planes) for i in range(2)]\n",
        {"in_planes": "16", "out_planes": "32", "block": "Basic"},
    ),
    "layers that are counted in steps": (
        net("n = (depth - 4) // 6; self.layer = nn.Sequential(*[nn.Linear(8, 8)] * n)", "depth"),
        {"depth": "10"},
    ),
    "layers that are counted in steps, which a check asks for": (
        net(
            "assert (depth - 4) % 6 == 0, 'depth is not 6n+4'; self.layer = nn.Sequential(*[nn.Linear(8, 8)] * depth)",
            "depth: int",
        ),
        {"depth": "10"},
    ),
    "layers that are counted in steps of two kinds": (
        net(
            "self.depth = depth; n = (self.depth - 2) // 9 if wide else (depth - 2) // 6; "
            "self.layer = nn.Sequential(*[nn.Linear(8, 8)] * n)",
            "depth, wide=False",
        ),
        {"depth": "20"},
    ),
    "layers that are counted in steps that never meet": (
        net("n = (depth - 1) % 6 + (depth - 2) // 6 + 1; self.layer = nn.Linear(n, 8)", "depth"),
        {"depth": "2"},
    ),
    "a layer by its name": (net("self.layer = getattr(nn, kind)()", "kind: str"), {"kind": "'ReLU'"}),
    "parts of a config": (net(LINEAR.format("cfg.model.encoder.width"), "cfg"), {}),
    "keys of a config": (net(LINEAR.format("cfg['model']['width']"), "cfg"), {}),
    "attributes and keys of one config": (net(LINEAR.format("cfg.width + cfg['more']"), "cfg"), {}),
    "a config that is read with defaults": (net(LINEAR.format("cfg.width * getattr(cfg, 'factor', 1)"), "cfg"), {}),
    "a config that is handed on": (
        "class Part(nn.Module):\n    def __init__(self, settings):\n        super().__init__()\n"
        "        self.inner = nn.Linear(settings.hidden, 4)\n    def forward(self, x):\n        return self.inner(x)\n"
        + net("self.layer = Part(config)", "config"),
        {},
    ),
    "a list of pairs": (
        net("self.layer = nn.Sequential(*[nn.Linear(pair[0], pair[1]) for pair in units])", "units"),
        {},
    ),
    "a name out of those that a check allows": (
        net(
            "assert kind in ['gated', 'plain'], f'{kind} is not in [\\'gated\\', \\'plain\\']'; " + LINEAR.format(8),
            "kind",
        ),
        {"kind": "'gated'"},
    ),
    "an activation by name": (
        net("self.act = {'relu': nn.ReLU(), 'tanh': nn.Tanh()}[activation]; " + LINEAR.format(8), "activation"),
        {"activation": "'relu'"},
    ),
    "an argument that may be left out, and may not": (
        net("assert width is not None, 'width is needed'; " + LINEAR.format("width"), "width=None"),
        {},
    ),
    "arguments for the base by way of keywords": (
        "class Base(nn.Module):\n    def __init__(self, width):\n        super().__init__()\n"
        "        self.layer = nn.Linear(width, 4)\n"
        "class Net(Base):\n    def __init__(self, **kwargs):\n        super().__init__(**kwargs)\n"
        "    def forward(self, x):\n        return self.layer(x)\n",
        {},
    ),
    "a tensor": (net("self.scale = nn.Parameter(weight.clone())", "weight", "return x * self.scale"), {}),
    "a module that is called with two values": (
        net("self.mixer = mixer", "mixer", "return self.mixer(x, x)"),
        {},
    ),
    "a module of the file, by its name": (
        LAYER + net("self.layer = layer", "layer", "return self.layer(x, x).view(x.size(0), -1, self.layer.size)"),
        {},
    ),
    "features are numbers": (net(LINEAR.format("in_features"), "in_features"), {}),
    "the sides of an image": (
        net(
            "side = lambda n: (n - 5) // 2 + 1; self.layer = nn.Conv2d(3, 8, 5, 2); "
            "self.head = nn.Linear(8 * side(h) * side(w), 4)",
            "h, w",
            "return self.head(self.layer(x).flatten(1))",
        ),
        {"h": "32", "w": "32"},
    ),
    "heads, where no width stands beside them": (
        net("self.layer = nn.MultiheadAttention(embed_dim, h)", "embed_dim, h", "return self.layer(x, x, x)[0]"),
        {"h": "4"},
    ),
    "the shape of an observation": (
        net("self.layer = nn.Conv2d(obs_shape[0], 8, 3)", "obs_shape"),
        {"obs_shape": "(3, 32, 32)"},
    ),
}


@pytest.mark.parametrize(("source", "arguments"), CASES.values(), ids=CASES)
def test_arguments_are_found(tmp_path: Path, source: str, arguments: dict[str, str]) -> None:
    found = report(tmp_path, source)
    assert found["status"] == "ok", found["reason"]
    given = {name: item["expr"] for name, item in found["init"]["args"].items()}
    assert {name: given[name] for name in arguments} == arguments


INPUTS = {
    "the sides of an image beside its pixels": (
        net(
            "self.layer = nn.Conv2d(8, 8, 3, padding=1)",
            "width=8",
            "B, N, C = x.shape; y = x.transpose(1, 2).view(B, C, H, W); return self.layer(y).flatten(2)",
            "x, H, W",
        ),
        {"x": 3},
    ),
    "both sides of a loss": (
        net(
            "pass",
            "weight=1.0",
            "assert predicted.shape == wanted.shape, 'shapes differ'; return (predicted[:, 0] - wanted[:, 0]).mean()",
            "predicted, wanted",
        ),
        {},
    ),
    "lengths of sequences": (
        net(
            "self.layer = nn.LSTM(6, 8, batch_first=True)",
            "width=8",
            "p = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True); return self.layer(p)[1][0]",
            "x, lengths",
        ),
        {"x": 3, "lengths": 1},
    ),
    "an input that may be left out, and may not": (
        net("self.layer = nn.Embedding(20, 8)", "width=8", "return self.layer(ids) * ids.size(0)", "ids=None"),
        {"ids": 2},
    ),
    "a net that needs more pixels": (
        net(
            "self.layer = nn.Sequential(*[nn.Conv2d(3, 3, 3, stride=2) for _ in range(6)])",
            "width=8",
        ),
        {"x": 4},
    ),
    "two sequences that meet in one call": (
        net("pass", "width=8", "return torch.cat([a, b], 1).permute(0, 2, 1)", "a, b"),
        {"a": 3, "b": 3},
    ),
    "lengths of the batch that stands second": (
        net(
            "self.layer = nn.LSTM(6, 8)",
            "width=8",
            "p = nn.utils.rnn.pack_padded_sequence(x, lengths); y, _ = self.layer(p); "
            "return nn.utils.rnn.pad_packed_sequence(y)[0].view(x.shape[0], x.shape[1], -1)",
            "x, lengths",
        ),
        {"x": 3, "lengths": 1},
    ),
    "indices whose lengths are counted": (
        net(
            "self.embed = nn.Embedding(20, 6); self.layer = nn.LSTM(6, 8, batch_first=True)",
            "width=8",
            "p = nn.utils.rnn.pack_padded_sequence(self.embed(x), (x != 0).sum(-1), batch_first=True); "
            "return self.layer(p)[1][0]",
        ),
        {"x": 2},
    ),
    "tensors out of a list of which only items are taken": (
        net(
            "self.layer = nn.Linear(4, 4)", "width=8", "return self.layer(inputs[0]) + self.layer(inputs[1])", "inputs"
        ),
        {"inputs": "List[Tensor]"},
    ),
    "the two states of a recurrent layer": (
        net(
            "self.embed = nn.Embedding(20, 6); self.layer = nn.LSTM(6, 8, num_layers=3)",
            "width=8",
            "return self.layer(self.embed(x), state)[0]",
            "x, state",
        ),
        {"x": 2, "state": "Tuple[Tensor, Tensor]"},
    ),
    "sides that are moved by numbers in tensors": (
        net(
            "self.layer = nn.Conv2d(24, 4, 1)",
            "width=8",
            "move = torch.tensor([b.size(3) - a.size(3)]); a = F.pad(a, [move // 2, move - move // 2]); "
            "return self.layer(torch.cat([a, b], 1))",
            "a, b",
        ),
        {"a": 4, "b": 4},
    ),
    "classes beside their scores": (
        net(
            "pass",
            "width=8",
            "return torch.zeros_like(x).scatter_(1, target.unsqueeze(1).long(), 0.9) - x",
            "x, target",
        ),
        {"x": 4, "target": 3},
    ),
    "channels of two inputs that add up to one more than a constant has": (
        net(
            "self.layer = nn.Conv2d(4, 8, 1); self.register_buffer('mean', torch.zeros(1, 3, 1, 1))",
            "width=8",
            "return self.layer(torch.cat([x - self.mean, mask], 1))",
            "x, mask",
        ),
        {"x": 4, "mask": 4},
    ),
    "levels of a pyramid": (
        net(
            "self.down = nn.Conv2d(8, 8, 3, 2, 1); self.layer = nn.Conv2d(16, 4, 1)",
            "width=8",
            "return self.layer(torch.cat([self.down(self.down(a)), self.down(b) + c], 1))",
            "a, b, c",
        ),
        {"a": 4, "b": 4, "c": 4},
    ),
    "a clip whose patches have places": (
        net(
            "self.cut = nn.Conv3d(3, 8, (2, 32, 32), (2, 32, 32)); self.places = nn.Parameter(torch.zeros(1, 392, 8))",
            "width=8",
            "x = x.unsqueeze(2) if x.dim() == 4 else x; return self.cut(x).flatten(2).transpose(1, 2) + self.places",
        ),
        {"x": 5},
    ),
    "a check without words of sides that must divide": (
        net(
            "self.layer = nn.Conv2d(3, 8, 3, 2, 1)",
            "width=8",
            "x = self.layer(x); assert x.shape[2] % 56 == 0; assert x.shape[3] % 56 == 0; return x",
        ),
        {"x": 4},
    ),
    "pixels that are gone through one by one": (
        net(
            "self.layer = nn.Conv2d(3, 8, 1)",
            "width=8",
            "x = self.layer(x).tolist(); steps = range(40 ** (len(x[0][0]) // 8)); "
            "return torch.tensor([[sum(row) for row in rows for _ in steps] for item in x for rows in item])",
        ),
        {"x": 4},
    ),
}


@pytest.mark.parametrize(("source", "ranks"), INPUTS.values(), ids=INPUTS)
def test_inputs_are_found(tmp_path: Path, source: str, ranks: dict[str, int | str]) -> None:
    """`ranks`: the number of dims of a tensor, the type of what is none."""
    found = report(tmp_path, source)
    assert found["status"] == "ok", found["reason"]
    told = {item["name"]: len(item["dims"]) if "dims" in item else item["type"] for item in found["inputs"]}
    assert {name: told[name] for name in ranks} == ranks


def test_what_another_class_gives_it_serves_where_guesses_do_not(tmp_path: Path) -> None:
    source = (
        net(
            "assert (low, high) == (7, 49); self.layer = nn.Linear(high, low)",
            "low, high",
            "assert x.shape[1] == 7 * y.shape[1]; return self.layer(x).sum(1) + y.mean()",
            "x, y",
        )
        + "\nclass Host(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.net = Net(7, 49)\n    def forward(self, image):\n"
        "        return self.net(image.flatten(1)[:, :49], image.flatten(1)[:, :7])\n"
    )
    found = report(tmp_path, source, parents=["Host"])
    assert found["status"] == "ok", found["reason"]
    assert {name: item["expr"] for name, item in found["init"]["args"].items()} == {"low": "7", "high": "49"}
    assert "Host" in found["evidence"][0]


def test_a_method_that_only_refuses_is_there_to_be_overridden(tmp_path: Path) -> None:
    found = report(tmp_path, net("pass", "width=8", "raise NotImplementedError('subclasses do')"))
    assert (found["status"], found["reason"]["code"]) == ("skipped", "abstract")


MIXIN = """
class {}(nn.Module):
    def forward(self, x):
        if len(x.size()) <= 2:
            return super().forward(x)
        return super().forward(x.flatten(0, 1)).view(x.size(0), x.size(1), -1)
"""


def test_a_mixin_whose_forward_is_that_of_the_next_base_is_skipped_alone(tmp_path: Path) -> None:
    alone = report(tmp_path, MIXIN.format("Net"))
    assert (alone["status"], alone["reason"]["code"]) == ("skipped", "abstract")
    mixed = "class Net(Bottle, nn.Linear):\n    def __init__(self):\n        super().__init__(8, 4)\n"
    assert report(tmp_path, MIXIN.format("Bottle") + mixed)["status"] == "ok"


def test_a_forward_that_asks_the_next_base_at_times_is_run_where_it_does_not(tmp_path: Path) -> None:
    found = report(tmp_path, net("pass", "wide=False", "return super().forward(x) if self.training else x * 2"))
    assert found["status"] == "ok", found["reason"]


def test_a_part_that_has_no_forward_is_no_abstract_class(tmp_path: Path) -> None:
    found = report(tmp_path, net("self.parts = nn.ModuleList([nn.Linear(4, 4)])", "width=8", "return self.parts(x)"))
    assert (found["status"], found["reason"]["kind"]) == ("unresolved", "called-without-forward")
