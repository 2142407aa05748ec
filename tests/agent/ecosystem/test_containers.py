"""Inputs that are a library's own are found by what is read of them and by what takes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_libraries import CONSUMERS, GEOMETRIC, TRANSFORMERS
from probing_helpers import Prober

HEAD = "import torch\nfrom torch import nn\n"


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    prober = Prober(wall=15.0)
    yield prober
    prober.close()


def report(prober: Prober, folder: Path, files: dict[str, str], source: str) -> Any:
    made = prober.reports(folder, {**files, "net.py": HEAD + source}, "Net", on_report=lambda _: None)["Net"]
    assert made.status == "ok", made.reason
    return made


GRAPH = """
from torch_geometric.nn import GCNConv

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = GCNConv(14, 3)

    def forward(self, data):
        x, edge_index = data.x, data.edge_index
        return self.conv(x, edge_index)
"""
MEAN = GRAPH.replace(
    "return self.conv(x, edge_index)",
    "out = torch.zeros(int(data.batch.max()) + 1, 3)\n"
    "        return out.index_add(0, data.batch, self.conv(x, edge_index))",
)
PARTS = GRAPH.replace("forward(self, data)", "forward(self, nodes, edge_index)").replace(
    "x, edge_index = data.x, data.edge_index\n        return self.conv(x,", "return self.conv(nodes,"
)


def values(made: Any) -> list[Any]:
    return [item.value for item in made.inputs]


def fields(spec: Any) -> dict[str, Any]:
    return dict(zip(spec.keys, spec.items, strict=True))


def test_a_graph_is_found_by_its_attributes(prober: Prober, tmp_path: Path) -> None:
    data = report(prober, tmp_path, GEOMETRIC, GRAPH).inputs[0].value
    assert data.type == "Data"
    assert fields(data)["x"].dims == ("N", 14)
    assert fields(data)["edge_index"].dims == (2, "E")
    assert fields(data)["edge_index"].dtype == "int64"


def test_the_numbers_of_graphs_go_with_the_nodes(prober: Prober, tmp_path: Path) -> None:
    data = fields(report(prober, tmp_path, GEOMETRIC, MEAN).inputs[0].value)
    assert data["batch"].dims == (data["x"].dims[0],)
    assert data["batch"].dtype == "int64"


def test_a_row_for_each_graph_is_not_one_for_each_node(prober: Prober, tmp_path: Path) -> None:
    made = report(prober, tmp_path, GEOMETRIC, MEAN)
    assert made.outputs[0].dims == ("?", 3)


def test_what_a_layer_of_the_library_takes_is_found_by_where_it_goes(prober: Prober, tmp_path: Path) -> None:
    nodes, edges = values(report(prober, tmp_path, GEOMETRIC, PARTS))
    assert (len(nodes.dims), nodes.dims[-1]) == (2, 14)
    assert (edges.dims[0], edges.dtype) == (2, "int64")


def test_the_kinds_of_a_graph_are_those_of_its_layers(prober: Prober, tmp_path: Path) -> None:
    source = """
from torch_geometric.nn import GCNConv, HeteroConv

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = HeteroConv({("user", "rates", "item"): GCNConv(5, 4), ("item", "rated_by", "user"): GCNConv(6, 4)})

    def forward(self, x_dict, edge_index_dict):
        return self.conv(x_dict, edge_index_dict)["item"]
"""
    nodes, edges = values(report(prober, tmp_path, GEOMETRIC, source))
    assert {name.split("[")[-1].rstrip("]"): item.dims[-1] for name, item in fields(nodes).items()} == {
        "user": 5,
        "item": 6,
    }
    assert [item.dims[0] for item in edges.items] == [2, 2]


def test_a_mask_is_as_a_model_of_the_library_takes_it(prober: Prober, tmp_path: Path) -> None:
    source = """
from transformers import BertConfig, PreTrainedModel

class Masked(PreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.words = nn.Embedding(50, 8)

    def forward(self, input_ids, attention_mask):
        mask = attention_mask[:, None, None, :] if attention_mask.dim() == 2 else attention_mask
        return self.words(input_ids) + mask.float().mean()

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.base = Masked(BertConfig())

    def forward(self, ids, mask):
        return self.base(ids, attention_mask=mask)
"""
    ids, mask = values(report(prober, tmp_path, TRANSFORMERS, source))
    assert (len(mask.dims), mask.dtype) == (2, "int64")
    assert (len(ids.dims), ids.dtype) == (2, "int64")


def test_a_model_gets_the_configuration_of_its_class(prober: Prober, tmp_path: Path) -> None:
    source = """
from transformers import PretrainedConfig, PreTrainedModel

class OwnConfig(PretrainedConfig):
    def __init__(self, features=12, **rest):
        super().__init__(**rest)
        self.features = features

class Net(PreTrainedModel):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        self.fc = nn.Linear(config.features, 4)

    def forward(self, x):
        return self.fc(x)
"""
    found = report(prober, tmp_path, TRANSFORMERS, source)
    assert found.inputs[0].value.dims[-1] == 12
    assert dict(found.init)["config"].expression == "OwnConfig()"


@pytest.mark.parametrize(
    ("layers", "dims"),
    [
        ("nn.LazyConv2d(8, 3), nn.Flatten(), nn.LazyLinear(6)", ("B", "C", "H", "W")),
        ("nn.Conv2d(3, 8, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(6)", ("B", 3, "H", "W")),
    ],
)
def test_a_lazy_layer_takes_any_size_first(prober: Prober, tmp_path: Path, layers: str, dims: tuple[Any, ...]) -> None:
    source = f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential({layers})

    def forward(self, image):
        return self.net(image)
"""
    found = report(prober, tmp_path, {}, source)
    assert found.inputs[0].value.dims == dims
    assert found.outputs[0].dims == ("B", 6)
    assert found.torchscript.script.ok


def test_images_have_a_batch_of_their_own_beside_their_captions(prober: Prober, tmp_path: Path) -> None:
    source = """
from transformers import BertConfig, PreTrainedModel

class Towers(PreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.words, self.look = nn.Embedding(50, 8), nn.Conv2d(3, 8, 64)

    def forward(self, input_ids, pixel_values):
        return self.look(pixel_values).flatten(1) @ self.words(input_ids).mean(1).t()

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.base = Towers(BertConfig())

    def forward(self, ids, image):
        return self.base(ids, image)
"""
    ids, image = values(report(prober, tmp_path, TRANSFORMERS, source))
    assert ids.dims[0] != image.dims[0]


ENCODED = """
from peft import PeftModel
from transformers.models.bert import BertConfig, BertModel

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.bert = {model}

    def forward(self, inputs):
        return self.bert({call}){rest}
"""


@pytest.mark.parametrize(
    ("model", "call", "kind"),
    [
        ("BertModel(BertConfig())", "**inputs", "Dict[str, Tensor]"),
        ("BertModel(BertConfig())", "inputs.input_ids, inputs.attention_mask", "BatchEncoding"),
        ("PeftModel(BertModel(BertConfig()))", "**inputs", "Dict[str, Tensor]"),
    ],
)
def test_what_a_tokenizer_gives_has_ids_and_a_mask(
    prober: Prober, tmp_path: Path, model: str, call: str, kind: str
) -> None:
    files = {**TRANSFORMERS, "peft/__init__.py": CONSUMERS["peft/__init__.py"]}
    (inputs,) = values(report(prober, tmp_path, files, ENCODED.format(model=model, call=call, rest="")))
    assert inputs.type == kind
    assert {name: (item.dtype, item.dims) for name, item in fields(inputs).items()} == {
        "input_ids": ("int64", ("B", "L")),
        "attention_mask": ("int64", ("B", "L")),
    }


KINDS = """
from torch_geometric.nn import GCNConv, HeteroConv

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = HeteroConv({("user", "rates", "item"): GCNConv(5, 4), ("item", "rated_by", "user"): GCNConv(6, 4)})

    def forward(self, data):
        return self.conv(data.x_dict, data.edge_index_dict)["item"]
"""


def test_a_graph_of_several_kinds_is_found_by_the_mappings_that_are_read_of_it(prober: Prober, tmp_path: Path) -> None:
    (data,) = values(report(prober, tmp_path, GEOMETRIC, KINDS))
    assert data.type == "HeteroData"
    nodes, edges = fields(data)["x_dict"], fields(data)["edge_index_dict"]
    assert [fields(nodes)[name].dims[-1] for name in ("user", "item")] == [5, 6]
    assert list(edges.keys) == ["user,rates,item", "item,rated_by,user"]


LINKS = """
from torch_geometric.nn import GCNConv

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = GCNConv(14, 3)

    def forward(self, x, edge_index, edge_label_index):
        z = self.conv(x, edge_index)
        src, dst = edge_label_index
        return (z[src] * z[dst]).sum(-1)
"""


def test_edges_that_are_asked_about_are_others_than_those_of_the_graph(prober: Prober, tmp_path: Path) -> None:
    _, edges, asked = values(report(prober, tmp_path, GEOMETRIC, LINKS))
    assert (edges.dims[0], asked.dims[0]) == (2, 2)
    assert edges.dims[1] != asked.dims[1]


def test_numbers_of_nodes_are_told_as_below_how_many_there_are(prober: Prober, tmp_path: Path) -> None:
    nodes, edges, asked = values(report(prober, tmp_path, GEOMETRIC, LINKS))
    assert [item.most for item in (edges, asked)] == [f"{nodes.dims[0]} - 1"] * 2


TWICE = """
from transformers.models.bert import BertConfig, BertModel

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.bert = BertModel(BertConfig())

    def forward(self, question, question_mask, answer, answer_mask):
        first = self.bert(question, attention_mask=question_mask).mean(1)
        return first * self.bert(answer, attention_mask=answer_mask).mean(1)
"""


def test_two_calls_of_a_model_have_lengths_of_their_own(prober: Prober, tmp_path: Path) -> None:
    question, first, answer, second = values(report(prober, tmp_path, TRANSFORMERS, TWICE))
    assert question.dims == first.dims
    assert answer.dims == second.dims
    assert question.dims[0] == answer.dims[0]
    assert question.dims[1] != answer.dims[1]


def test_what_only_a_tensordict_has_makes_one_with_a_batch(prober: Prober, tmp_path: Path) -> None:
    source = """
from tensordict import TensorDict

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 2)

    def forward(self, td):
        assert len(td.batch_size) == 1
        return torch.cat([self.fc(td["observation"]), self.fc(td["action"])])
"""
    (td,) = values(report(prober, tmp_path, CONSUMERS, source))
    assert td.type == "TensorDict"
    assert {name: item.dims for name, item in fields(td).items()} == {"observation": ("B", 6), "action": ("B", 6)}


def test_an_encoder_of_sentences_takes_what_a_tokenizer_gives(prober: Prober, tmp_path: Path) -> None:
    source = """
from sentence_transformers import SentenceTransformer
from transformers.models.bert import BertConfig, BertModel

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = SentenceTransformer(BertModel(BertConfig()))

    def forward(self, features):
        return self.encoder(features)["sentence_embedding"]
"""
    (given,) = values(report(prober, tmp_path, {**CONSUMERS, **TRANSFORMERS}, source))
    assert {name: item.dims for name, item in fields(given).items()} == {
        "input_ids": ("B", "L"),
        "attention_mask": ("B", "L"),
    }


@pytest.mark.parametrize(
    "call", ["nn.utils.rnn.pad_sequence(items, batch_first=True)", "nn.utils.rnn.pack_sequence(items).data"]
)
def test_sequences_that_are_put_together_are_of_other_lengths(prober: Prober, tmp_path: Path, call: str) -> None:
    source = f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 2)

    def forward(self, items):
        return self.fc({call}).sum()
"""
    (items,) = values(report(prober, tmp_path, {}, source))
    assert items.type == "List[Tensor]"
    assert items.items[0].dims == ("L", 6)
    assert items.varies == ("L",)


def test_keyword_arguments_that_a_model_takes_are_what_it_needs(prober: Prober, tmp_path: Path) -> None:
    source = """
from transformers.models.bert import BertConfig, BertModel

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.bert = BertModel(BertConfig())

    def forward(self, **tokens):
        return self.bert(**tokens).mean(1)
"""
    found = report(prober, tmp_path, TRANSFORMERS, source)
    assert {item.name: (item.value.dtype, item.value.dims) for item in found.inputs} == {
        "input_ids": ("int64", ("B", "L")),
        "attention_mask": ("int64", ("B", "L")),
    }
