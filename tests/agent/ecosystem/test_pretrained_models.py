"""A model by its name has the architecture that is known without a download; the report says what is made up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_libraries import HUB, TIMM, TRANSFORMERS
from probing_helpers import Prober

HEAD = "import torch\nfrom torch import nn\n"
NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.base = {base}

    def forward(self, x):
        return self.base(x)
"""


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    prober = Prober(wall=10.0)
    yield prober
    prober.close()


def report(prober: Prober, folder: Path, imports: str, base: str, files: Mapping[str, str]) -> Any:
    source = HEAD + imports + NET.format(base=base)
    return prober.reports(folder, {**files, "net.py": source}, "Net", on_report=lambda _: None)["Net"]


@pytest.mark.parametrize(
    ("base", "features"),
    [
        ("AutoModel.from_pretrained('acme/bert-base-uncased')", 24),
        ("AutoModel.from_pretrained('bert-base', pool=True)", 24),
        ("AutoModel.from_pretrained('bert-base', hidden_size=12)", 12),
        ("BertModel.from_pretrained('whatever', revision='main', torch_dtype='auto')", 24),
        ("BertModel.from_pretrained('whatever', config=BertConfig(hidden_size=6))", 6),
        ("AutoModel.from_config(AutoConfig.from_pretrained('bert-base'))", 24),
    ],
)
def test_a_checkpoint_has_the_sizes_of_its_configuration_class(
    prober: Prober, tmp_path: Path, base: str, features: int
) -> None:
    imports = "from transformers import AutoConfig, AutoModel, BertConfig, BertModel\n"
    found = report(prober, tmp_path, imports, base, TRANSFORMERS)
    assert found.status == "ok", found.reason
    assert found.outputs[0].dims[-1] == features


def test_the_weights_are_told_to_be_a_stand_in(prober: Prober, tmp_path: Path) -> None:
    imports = "from transformers import AutoModel\n"
    found = report(prober, tmp_path, imports, "AutoModel.from_pretrained('acme/bert-base')", TRANSFORMERS)
    assert found.stubbed == ("weights acme/bert-base",)
    assert found.notes == (
        "The weights of `acme/bert-base` are a stand-in: random ones of the same sizes, made with the defaults of "
        "`BertConfig`.",
    )


def test_a_configuration_in_the_workspace_is_read(prober: Prober, tmp_path: Path) -> None:
    files = {**TRANSFORMERS, "own/config.json": json.dumps({"model_type": "bert", "hidden_size": 10})}
    imports = "from pathlib import Path\nfrom transformers import AutoModel\n"
    base = "AutoModel.from_pretrained(Path(__file__).parent / 'own')"
    found = report(prober, tmp_path, imports, base, files)
    assert found.outputs[0].dims[-1] == 10
    assert "defaults" not in found.notes[0]


def test_a_name_that_says_no_type_is_named_in_the_reason(prober: Prober, tmp_path: Path) -> None:
    imports = "from transformers import AutoModel\n"
    found = report(prober, tmp_path, imports, "AutoModel.from_pretrained('albertine/abbert')", TRANSFORMERS)
    assert found.status == "unresolved"
    assert "`albertine/abbert` is in no model cache" in found.reason.message


def test_a_tokenizer_matters_only_where_a_shape_depends_on_it(prober: Prober, tmp_path: Path) -> None:
    imports = "from transformers import AutoTokenizer\n"
    known = "nn.Embedding(len(AutoTokenizer.from_pretrained('bert-base')), 4)"
    unknown = "nn.Embedding(len(AutoTokenizer.from_pretrained('mine')), 4)"
    unused = "(AutoTokenizer.from_pretrained('mine')('some text'), nn.Linear(3, 4))[1]"
    assert report(prober, tmp_path, imports, known, TRANSFORMERS).outputs[0].dims[-1] == 4
    assert report(prober, tmp_path, imports, unused, TRANSFORMERS).status == "ok"
    assert (
        "`tokenizer mine` is not on this machine"
        in report(prober, tmp_path, imports, unknown, TRANSFORMERS).reason.message
    )


@pytest.mark.parametrize("name", ["tiny", "hf-hub:timm/tiny"])
def test_timm_makes_the_architecture_of_the_name(prober: Prober, tmp_path: Path, name: str) -> None:
    found = report(prober, tmp_path, "import timm\n", f"timm.create_model('{name}', pretrained=True)", TIMM)
    assert found.outputs[0].dims[-1] == 7, found.reason
    assert found.stubbed == ("weights timm/tiny",)


def test_weights_from_the_hub_load_into_any_module(prober: Prober, tmp_path: Path) -> None:
    imports = (
        "from huggingface_hub import hf_hub_download\nfrom safetensors.torch import load_file\n"
        "def load(net, file):\n"
        "    net.load_state_dict(load_file(hf_hub_download('acme/net', file)))\n"
        "    return net\n"
    )
    found = report(prober, tmp_path, imports, "load(nn.Linear(3, 9), 'model.safetensors')", HUB)
    assert found.outputs[0].dims[-1] == 9, found.reason
    assert found.stubbed == ("weights acme/net",)
    config = report(prober, tmp_path, imports, "load(nn.Linear(3, 9), 'sizes.json')", HUB)
    assert "`sizes.json` of `acme/net` is in no model cache" in config.reason.message


def test_a_hub_repository_is_code_that_is_not_here(prober: Prober, tmp_path: Path) -> None:
    found = report(prober, tmp_path, "", "torch.hub.load('acme/nets:main', 'small')", {})
    assert "`acme/nets:main` is code that `torch.hub` would download" in found.reason.message
    (tmp_path / "hubconf.py").write_text("from torch import nn\ndef small(n): return nn.Linear(n, 5)\n")
    base = "torch.hub.load(__file__.rsplit('/', 1)[0], 'small', 2, source='local', trust_repo=True)"
    local = report(prober, tmp_path, "", base, {})
    assert local.outputs[0].dims[-1] == 5, local.reason


def test_what_is_compiled_runs_as_it_is(prober: Prober, tmp_path: Path) -> None:
    imports = "@torch.compile(fullgraph=True)\ndef twice(x):\n    return 2 * x\n"
    base = "nn.Sequential(torch.compile(nn.Linear(3, 6), mode='max-autotune'))"
    source = HEAD + imports + NET.format(base=base).replace("self.base(x)", "twice(self.base(x))")
    found = prober.reports(tmp_path, source, "Net", on_report=lambda _: None)["Net"]
    assert found.outputs[0].dims[-1] == 6, found.reason


def test_an_argument_that_names_a_checkpoint_gets_a_well_known_one(prober: Prober, tmp_path: Path) -> None:
    source = """
from torch import nn
from transformers import AutoModel

class Net(nn.Module):
    def __init__(self, model_type_or_dir, width):
        super().__init__()
        self.bert = AutoModel.from_pretrained(model_type_or_dir)
        self.fc = nn.Linear(self.bert.config.hidden_size, width)

    def forward(self, ids, mask):
        return self.fc(self.bert(ids, attention_mask=mask)[:, 0])
"""
    made = prober.reports(tmp_path, {**TRANSFORMERS, "net.py": source}, "Net", on_report=lambda _: None)["Net"]
    assert made.status == "ok", made.reason
    assert dict(made.init)["model_type_or_dir"].expression == "'bert-base-uncased'"
    assert dict(made.init)["model_type_or_dir"].source == "guess"


def test_what_an_argument_is_compared_with_says_more_than_its_name(prober: Prober, tmp_path: Path) -> None:
    source = """
from torch import nn
from transformers import AutoModel

class Net(nn.Module):
    def __init__(self, model_type_or_dir):
        super().__init__()
        if model_type_or_dir == "gru":
            self.r = nn.GRU(8, 6, batch_first=True)
        else:
            raise ValueError(model_type_or_dir)

    def forward(self, x):
        return self.r(x)[0]
"""
    made = prober.reports(tmp_path, {**TRANSFORMERS, "net.py": source}, "Net", on_report=lambda _: None)["Net"]
    assert made.status == "ok", made.reason
    assert dict(made.init)["model_type_or_dir"].expression == "'gru'"
