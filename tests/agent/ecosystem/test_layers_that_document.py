"""What layers of a library say of their inputs, in their docstrings, their keys and their kinds."""

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


FORMS = '''
from transformers.configuration_utils import PretrainedConfig
from transformers.modeling_utils import PreTrainedModel

class FormConfig(PretrainedConfig):
    num_channels = 6

class Forms(PreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.corners, self.wide = nn.Embedding(50, 8), nn.Linear(6, 8)

    def forward(self, bbox=None, past_values=None):
        """Reads a form.

        Args:
            bbox (`torch.LongTensor` of shape `(batch_size, sequence_length, 4)`, *optional*):
                Corners of the boxes, in order.
            past_values (`torch.Tensor` of shape `(bs, sequence_length, num_channels)`, *required*):
                What was seen before.
        """
        left, upper, right, lower = bbox.unbind(-1)
        boxes = self.corners(left) + self.corners(right - left) + self.corners(lower - upper)
        batch, length, channels = past_values.shape
        return boxes + self.wide(past_values)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.forms = Forms(FormConfig())

    def forward(self, places, series):
        return self.forms(bbox=places, past_values=series)
'''


def test_a_model_documents_the_shapes_of_its_inputs(prober: Prober, tmp_path: Path) -> None:
    places, series = (item.value for item in report(prober, tmp_path, TRANSFORMERS, FORMS).inputs)
    assert (places.dims, places.dtype) == (("B", "L", 4), "int64")
    assert series.dims == ("B", "L", 6)


def test_values_that_only_run_all_alike_are_no_limits_and_leave_the_sizes_to_be_told(
    prober: Prober, tmp_path: Path
) -> None:
    made = report(prober, tmp_path, TRANSFORMERS, FORMS)
    assert made.inputs[0].value.maximum is None
    assert made.outputs[0].dims == ("B", "L", 8)


HELLO = """
from lightning import LightningModule

class Net(LightningModule):
    def __init__(self):
        super().__init__()
        self.code = nn.Linear(28 * 28, 3)

    def training_step(self, batch, batch_idx):
        x, _ = batch
        x = x.view(x.size(0), -1)
        return self.code(x).square().mean()
"""


def test_labels_that_nothing_looks_at_are_one_for_each_row(prober: Prober, tmp_path: Path) -> None:
    images, labels = report(prober, tmp_path, CONSUMERS, HELLO).inputs[0].value.items
    assert images.dims == ("B", 784)
    assert (len(labels.dims), labels.dtype) == (1, "int64")


DENSE = """
from torch_geometric.nn.dense.conv import DenseConv

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = DenseConv(5, 3)

    def forward(self, h, matrix, mask=None):
        return self.conv(h, matrix, mask)
"""
DENSE_LIBRARY = {
    **{key: text for key, text in GEOMETRIC.items() if key != "torch_geometric/nn.py"},
    "torch_geometric/nn/__init__.py": GEOMETRIC["torch_geometric/nn.py"],
    "torch_geometric/nn/dense/__init__.py": "",
    "torch_geometric/nn/dense/conv.py": """
from torch import nn
class DenseConv(nn.Module):
    def __init__(self, wide, out):
        super().__init__()
        self.lin = nn.Linear(wide, out)
    def forward(self, x, adj, mask=None):
        x = x.unsqueeze(0) if x.dim() == 2 else x
        adj = adj.unsqueeze(0) if adj.dim() == 2 else adj
        out = self.lin(adj @ x)
        return out if mask is None else out * mask.view(*out.shape[:2], 1).to(x.dtype)
""",
}


def test_dense_layers_take_a_matrix_for_each_graph_of_a_batch(prober: Prober, tmp_path: Path) -> None:
    nodes, matrix, mask = (item.value for item in report(prober, tmp_path, DENSE_LIBRARY, DENSE).inputs)
    assert nodes.dims == ("B", "N", 5)
    assert matrix.dims == ("B", "N", "N")
    assert (mask.dims, mask.dtype) == (("B", "N"), "bool")


KINDS = """
import torch_geometric.nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Linear(24, 1)

    def forward(self, z_dict, edge_label_index):
        row, col = edge_label_index
        return self.score(torch.cat([z_dict["user"][row], z_dict["film"][col]], dim=-1)).view(-1)
"""


def test_nodes_of_kinds_are_read_by_the_names_of_the_kinds(prober: Prober, tmp_path: Path) -> None:
    kinds, edges = (item.value for item in report(prober, tmp_path, GEOMETRIC, KINDS).inputs)
    assert kinds.keys == ("user", "film")
    assert [(len(item.dims), item.dims[1]) for item in kinds.items] == [(2, 12), (2, 12)]
    assert (edges.dims[0], edges.dtype) == (2, "int64")


CATEGORIES = """
from torch_geometric.nn import GCNConv

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.bonds, self.conv = nn.Embedding(4, 6), GCNConv(6, 3)

    def forward(self, x, edge_index, edge_attr):
        edge_attr = self.bonds(edge_attr)
        x = x.index_add(0, edge_index[1], edge_attr)
        return self.conv(x, edge_index)
"""


def test_an_attribute_of_edges_that_is_looked_up_is_a_number_for_each(prober: Prober, tmp_path: Path) -> None:
    made = {item.name: item.value for item in report(prober, tmp_path, GEOMETRIC, CATEGORIES).inputs}
    assert (made["edge_attr"].dims, made["edge_attr"].dtype) == ((made["edge_index"].dims[1],), "int64")


KEYED = """
from tensordict import TensorDict, TensorDictModule

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.policy = TensorDictModule(nn.Linear(8, 3), ["observation"], ["action"])

    def forward(self, state):
        state = self.policy(state)
        return state["action"]
"""
KEYS = """
from torch import nn
class TensorDictModuleBase(nn.Module): ...
class TensorDictModule(TensorDictModuleBase):
    def __init__(self, module, in_keys, out_keys):
        super().__init__()
        self.module, self.in_keys, self.out_keys = module, in_keys, out_keys
    def forward(self, tensordict):
        items = dict(tensordict.items())
        if any(key not in items for key in self.in_keys):
            raise KeyError("Some tensors that are necessary for the module call have not been found")
        items[self.out_keys[0]] = self.module(*(items[key] for key in self.in_keys))
        return TensorDict(items, tensordict.batch_size)
"""


def test_a_module_that_names_its_keys_is_given_those(prober: Prober, tmp_path: Path) -> None:
    files = {**CONSUMERS, "tensordict/__init__.py": CONSUMERS["tensordict/__init__.py"] + KEYS}
    (state,) = (item.value for item in report(prober, tmp_path, files, KEYED).inputs)
    assert state.keys == ("observation",)
    assert state.items[0].dims == ("B", 8)


OWN_LAZY = """
from torch.nn.parameter import UninitializedParameter

class Wide(nn.Module):
    def __init__(self, out):
        super().__init__()
        self.out, self.weight = out, UninitializedParameter()
        self._hook = self.register_forward_pre_hook(self.initialize_parameters)

    def reset_parameters(self):
        nn.init.uniform_(self.weight, -self.weight.size(1) ** -0.5, self.weight.size(1) ** -0.5)

    @torch.no_grad()
    def initialize_parameters(self, module, input):
        self.weight.materialize((self.out, input[0].size(-1)))
        self.reset_parameters()
        self._hook.remove()
        delattr(self, "_hook")

    def forward(self, x):
        return nn.functional.linear(x, self.weight)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = Wide(6), Wide(2)

    def forward(self, features):
        batch, width = features.shape
        return self.second(self.first(features))
"""


def test_lazy_layers_of_libraries_take_any_size_first(prober: Prober, tmp_path: Path) -> None:
    made = report(prober, tmp_path, {}, OWN_LAZY)
    assert made.inputs[0].value.dims == ("batch", "width")
    assert made.outputs[0].dims == ("batch", 2)


SEGMENTS = """
from segmentation_models_pytorch import encoders

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        mean = encoders.get_preprocessing_params("resnet34")["mean"]
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, image):
        return self.conv(image - self.mean)
"""
ENCODERS = {
    "segmentation_models_pytorch/__init__.py": "",
    "segmentation_models_pytorch/encoders.py": """
import json
def hf_hub_download(repo_id, filename):
    raise OSError("We couldn't connect")
def get_preprocessing_params(name):
    with open(hf_hub_download(name, "config.json")) as file:
        return json.load(file)
""",
}


def test_how_images_are_normalised_needs_no_download(prober: Prober, tmp_path: Path) -> None:
    assert report(prober, tmp_path, ENCODERS, SEGMENTS).inputs[0].value.dims == ("B", 3, "H", "W")
