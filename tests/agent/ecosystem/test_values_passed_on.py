"""What the author's own methods, functions and parts pass on to a part of a library is what that part documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_libraries import HUB, TRANSFORMERS
from probing_helpers import Prober

HEAD = """
import torch
from torch import nn
from transformers import AutoTokenizer, BertConfig, BertModel
"""


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    prober = Prober(wall=15.0)
    yield prober
    prober.close()


def report(prober: Prober, folder: Path, source: str, name: str = "Net") -> Any:
    files = {**TRANSFORMERS, **HUB, "net.py": HEAD + source}
    return prober.reports(folder, files, name, on_report=lambda _: None)[name]


def dims(made: Any) -> dict[str, Any]:
    """The sizes of each input, those of a container by its keys."""
    assert made.status == "ok", made.reason
    return {
        item.name: dict(zip(item.value.keys, (part.dims for part in item.value.items), strict=True))
        if item.value.keys
        else item.value.dims
        for item in made.inputs
    }


TOWERS = """
class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.bert = BertModel(BertConfig())

    def forward(self, **tokens):
        return self.bert(**tokens)[:, 0]


class Base(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.encoder, self.other = Encoder(), None

    def run(self, tokens, other=False):
        encoder = self.encoder
        if other and self.other is not None:
            encoder = self.other
        return encoder(**tokens)

    def encode(self, tokens):
        raise NotImplementedError

    def forward(self, **kwargs):
        out = {}
        asked = "query" in kwargs
        if "text" in kwargs:
            out["text"] = self.encode(kwargs["text"])
        if asked:
            out["query"] = self.encode(kwargs["query"])
        if "number" in kwargs:
            out["text"] = out["text"].reshape(2, kwargs["number"], -1)
        return out


class Net(Base):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

    def encode(self, tokens):
        return self.run(tokens)
"""


def test_keyword_arguments_that_are_encodings_are_told_with_their_tensors(prober: Prober, tmp_path: Path) -> None:
    made = report(prober, tmp_path, TOWERS)
    assert dims(made) == {
        "text": {"input_ids": ("B", "L"), "attention_mask": ("B", "L")},
        "query": {"input_ids": ("B", "L2"), "attention_mask": ("B", "L2")},
    }
    assert {key: item.dims for key, item in zip(made.outputs[0].keys, made.outputs[0].items, strict=True)} == {
        "text": ("B", 24),
        "query": ("B", 24),
    }


def test_a_base_whose_method_only_raises_is_left_to_its_subclasses(prober: Prober, tmp_path: Path) -> None:
    made = report(prober, tmp_path, TOWERS, "Base")
    assert (made.status, made.reason.kind) == ("skipped", "class-abstract")


def test_a_dict_that_a_method_spreads_over_a_model_has_the_inputs_of_the_model(prober: Prober, tmp_path: Path) -> None:
    source = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = BertModel(BertConfig()), BertModel(BertConfig(vocab_size=33))

    def encode(self, encoder, tokens):
        return encoder(**tokens)[:, 0]

    def forward(self, query, passage):
        return self.encode(self.one, query) @ self.encode(self.two, passage).t()
"""
    found = dims(report(prober, tmp_path, source))
    sizes = {name: set(item.values()) for name, item in found.items()}
    assert {name: set(item) for name, item in found.items()} == {
        "query": {"input_ids", "attention_mask"},
        "passage": {"input_ids", "attention_mask"},
    }
    assert all(len(item) == 1 for item in sizes.values())
    assert not sizes["query"] & sizes["passage"]


def test_items_of_a_batch_are_what_they_are_passed_as(prober: Prober, tmp_path: Path) -> None:
    source = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.bert = BertModel(BertConfig())

    def forward(self, batch):
        tokens = batch["words"]
        return self.bert(tokens, attention_mask=batch["keep"])
"""
    made = report(prober, tmp_path, source)
    assert dims(made) == {"batch": {"words": ("B", "L"), "keep": ("B", "L")}}
    assert {item.dtype for item in made.inputs[0].value.items} == {"int64"}


def test_keyword_arguments_are_those_that_are_read(prober: Prober, tmp_path: Path) -> None:
    source = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(30, 6)

    def forward(self, **inputs):
        found = self.words(inputs["input_ids"])
        return found * inputs.get("scale", 1)
"""
    assert dims(report(prober, tmp_path, source)) == {"input_ids": ("B", "L")}


def test_what_a_model_gives_is_an_object_with_its_tensors(prober: Prober, tmp_path: Path) -> None:
    source = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(12, 3)

    def forward(self, outputs):
        return self.head(outputs.last_hidden_state.mean(1) + outputs.pooler_output + outputs.hidden_states[-2][:, 0])
"""
    made = report(prober, tmp_path, source)
    assert made.status == "ok", made.reason
    hidden, pooled, states = made.inputs[0].value.items
    assert (hidden.dims, pooled.dims, states.items[1].dims) == (("B", "L", 12), ("B", 12), ("B", "L", 12))


def test_the_numbers_of_special_tokens_need_no_vocabulary(prober: Prober, tmp_path: Path) -> None:
    source = """
class Net(nn.Module):
    def __init__(self, tokenizer):
        super().__init__()
        self.special = [tokenizer.vocab[tokenizer.special_tokens_map["cls_token"]], tokenizer.mask_token_id]
        self.words = nn.Embedding(tokenizer.vocab_size, 6)

    def forward(self, input_ids):
        found = self.words(input_ids)
        found[:, self.special[1]] = 0
        return found
"""
    made = report(prober, tmp_path, source)
    assert dims(made) == {"input_ids": ("B", "L")}
    assert made.inputs[0].value.maximum == 98


def test_weights_are_told_of_the_classes_that_take_them(prober: Prober, tmp_path: Path) -> None:
    source = """
class Part(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer = nn.Linear(width, 2)

    def forward(self, x):
        return self.layer(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.bert, self.head = BertModel.from_pretrained("acme/bert"), Part(24)

    def forward(self, ids):
        return self.head(self.bert(ids))
"""
    files = {**TRANSFORMERS, "net.py": HEAD + source}
    made = prober.reports(tmp_path, files, "Part", "Net", on_report=lambda _: None)
    assert made["Net"].stubbed == ("weights acme/bert",)
    assert made["Part"].stubbed == ()
    assert not any("stand-in" in note for note in made["Part"].notes)


def test_weights_that_are_copied_by_hand_leave_the_module_as_it_is(prober: Prober, tmp_path: Path) -> None:
    source = """
import safetensors
from huggingface_hub import hf_hub_download


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 4)
        own = self.state_dict()
        with safetensors.safe_open(hf_hub_download("acme/net", "model.safetensors"), framework="pt") as file:
            own["bias"] = file.get_tensor("bias") if "bias" in file.keys() else None
            own["layer.weight"].copy_(torch.cat((file.get_tensor("a"), file.get_tensor("b")[2:]), dim=0))

    def forward(self, x):
        return self.layer(x)
"""
    made = report(prober, tmp_path, source)
    assert dims(made) == {"x": ("B", 6)}
    assert made.stubbed == ("weights acme/net",)
