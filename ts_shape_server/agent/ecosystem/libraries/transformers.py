"""transformers: a checkpoint's architecture from the user's cache, else from what its class and its name say.

A named class (`BertModel`) has the defaults of its configuration class; for an Auto class the model type is looked for
in the name (``bert-base-uncased``), at word boundaries. Tokenizers and processors are inert.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from ts_shape_server.agent import standins
from ts_shape_server.agent.ecosystem import SPREAD, Asked, checkpoints
from ts_shape_server.agent.infer.facts.source import function_tree
from ts_shape_server.agent.infer.guesses.values import (
    DictGuess,
    Guess,
    OneSize,
    RecordGuess,
    SequenceGuess,
    TensorGuess,
)

_LOADING = frozenset(
    (
        *("cache_dir", "force_download", "local_files_only", "proxies", "revision", "code_revision", "token", "mirror"),
        *("use_auth_token", "subfolder", "trust_remote_code", "low_cpu_mem_usage", "device_map", "max_memory"),
        *("ignore_mismatched_sizes", "from_tf", "from_flax", "use_safetensors", "variant", "quantization_config"),
        *("load_in_8bit", "load_in_4bit", "offload_folder", "offload_state_dict", "offload_buffers", "state_dict"),
        *("resume_download", "output_loading_info", "weights_only", "key_mapping", "adapter_kwargs", "adapter_name"),
        *("torch_dtype", "dtype", "attn_implementation", "use_flash_attention_2", "tp_plan", "generation_config"),
        *("_fast_init", "_from_auto", "_commit_hash", "_from_pipeline", "name_or_path", "use_kernels", "gguf_file"),
    )
)
"""Arguments of `from_pretrained` that are about files and devices, and not about the architecture."""
_OTHER_NAMES = {
    ("deberta", "v3"): "deberta-v2",
    ("mdeberta", "v3"): "deberta-v2",
    ("distilroberta",): "roberta",
    ("xlmr",): "xlm-roberta",
}
"""Families whose checkpoints are named otherwise than their model type."""


def _configuration_utils(module: Any) -> None:
    base = module.PretrainedConfig

    def from_pretrained(cls: Any, /, pretrained_model_name_or_path: Any, *_: Any, **keywords: Any) -> Any:
        return _configured(cls, pretrained_model_name_or_path, keywords)

    def get_config_dict(cls: Any, /, pretrained_model_name_or_path: Any, **keywords: Any) -> Any:
        name, subfolder = pretrained_model_name_or_path, keywords.get("subfolder") or ""
        known = checkpoints.configuration(name, subfolder=subfolder)
        return known or {"model_type": cls.model_type or _type_in(name)}, keywords

    base.from_pretrained = classmethod(from_pretrained)
    base.get_config_dict = classmethod(get_config_dict)


def _configured(cls: Any, name: Any, keywords: Mapping[str, Any]) -> Any:
    """An instance of a configuration class as a checkpoint has it, or with the class' own defaults."""
    known = checkpoints.configuration(name, subfolder=keywords.get("subfolder") or "")
    own = {} if known is None else dict(_part(cls, known))
    kept = {key: value for key, value in keywords.items() if key not in _LOADING}
    return cls.from_dict(own, **kept)


def _part(cls: Any, known: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a configuration of several that is of that class, as `CLIPTextConfig` in CLIP's."""
    key = getattr(cls, "base_config_key", "")
    wanted = getattr(cls, "model_type", "")
    inner = known.get(key) if key else None
    return inner if isinstance(inner, dict) and known.get("model_type") != wanted else known


def _auto_configuration(module: Any) -> None:
    def from_pretrained(cls: Any, /, pretrained_model_name_or_path: Any, **keywords: Any) -> Any:
        name = pretrained_model_name_or_path
        known = checkpoints.configuration(name, subfolder=keywords.get("subfolder") or "")
        kind = (known or {}).get("model_type") or _type_in(name)
        if kind not in module.CONFIG_MAPPING:
            raise checkpoints.NotHere(
                f"`{checkpoints.shortened(name)}` is of the type `{kind}`, which this version of transformers lacks"
            )
        return _configured(module.CONFIG_MAPPING[kind], name, keywords)

    module.AutoConfig.from_pretrained = classmethod(from_pretrained)


def _of(module: str) -> Any:
    """A module of the library, which is imported where this is asked."""
    return importlib.import_module(module)


def _auto_config() -> Any:
    return _of("transformers.models.auto.configuration_auto").AutoConfig


def _type_in(name: Any) -> str:
    """The model type that the name of a checkpoint says. Raises NotHere."""
    known = _of("transformers.models.auto.configuration_auto").CONFIG_MAPPING_NAMES
    words = _words(str(name).rsplit("/", 1)[-1])
    kinds: dict[tuple[str, ...], str] = {_words(kind): kind for kind in known}
    kinds.update({said: kind for said, kind in _OTHER_NAMES.items() if kind in known})
    places = [(start, end) for start in range(len(words)) for end in range(start + 1, len(words) + 1)]
    for start, end in sorted(places, key=lambda place: (place[0] - place[1], place[0])):
        if words[start:end] in kinds:
            return kinds[words[start:end]]
    raise checkpoints.NotHere(
        f"`{checkpoints.shortened(name)}` is in no model cache that may be read, and its name does not say of what "
        "type the model is"
    )


def _words(name: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[^a-z0-9.]+", name.lower()) if word)


def _modeling_utils(module: Any) -> None:
    def from_pretrained(
        cls: type[Any], pretrained_model_name_or_path: Any = None, *arguments: Any, **keywords: Any
    ) -> Any:
        config = keywords.pop("config", None)
        source = pretrained_model_name_or_path if config is None else config
        if config is None or isinstance(config, str) or hasattr(config, "__fspath__"):
            config, rest = cls.config_class.from_pretrained(source, return_unused_kwargs=True, **keywords)
            rest = {**rest, **{key: value for key, value in keywords.items() if key in _LOADING}}
        else:
            config, rest = _updated(config, keywords)
        return _made(cls, config, pretrained_model_name_or_path, arguments, rest)

    module.PreTrainedModel.from_pretrained = classmethod(from_pretrained)


def _updated(config: Any, keywords: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A configuration that the author passed, with the arguments that are entries of it, and the others."""
    rest: dict[str, Any] = {}
    for key, value in keywords.items():
        if hasattr(config, key) and key not in _LOADING:
            setattr(config, key, value)
        else:
            rest[key] = value
    return config, rest


def _made(cls: Any, config: Any, name: Any, arguments: Any, keywords: Mapping[str, Any]) -> Any:
    """The architecture of a configuration, in `eval` mode as it is after loading."""
    known = name is None or checkpoints.configuration(name, subfolder=keywords.get("subfolder") or "") is not None
    said = "" if known else f", made with the defaults of `{type(config).__name__}`"
    checkpoints.weights(name if name is not None else cls.__name__, said)
    made = cls(config, *arguments, **{key: value for key, value in keywords.items() if key not in _LOADING})
    dtype = keywords.get("dtype", keywords.get("torch_dtype"))
    dtype = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if isinstance(dtype, torch.dtype):
        made = made.to(dtype)
    made.eval()
    return (made, {}) if keywords.get("output_loading_info") else made


def _auto_models(module: Any) -> None:
    base = _of("transformers.models.auto.auto_factory")._BaseAutoModelClass

    def from_pretrained(cls: Any, /, pretrained_model_name_or_path: Any, *arguments: Any, **keywords: Any) -> Any:
        config = keywords.pop("config", None)
        if config is None or isinstance(config, str):
            source = config or pretrained_model_name_or_path
            config, rest = _auto_config().from_pretrained(source, return_unused_kwargs=True, **keywords)
            rest = {**rest, **{key: value for key, value in keywords.items() if key in _LOADING}}
        else:
            config, rest = _updated(config, keywords)

        def make(made_of: Any, *_: Any, **kept: Any) -> Any:
            return cls.from_config(made_of, **kept)

        return _made(make, config, pretrained_model_name_or_path, arguments, rest)

    classes: list[Any] = [value for value in vars(module).values() if inspect.isclass(value)]
    for value in classes:
        if issubclass(value, base):
            value.from_pretrained = classmethod(from_pretrained)


class InertTokenizer(standins.Inert):
    """A tokenizer that has no vocabulary here: of its size is said what the checkpoint's configuration says. A special
    token is called what it is for, and its number, where the configuration does not say it, is one of the vocabulary.
    """

    def __getattr__(self, name: str) -> Any:
        known = self.__dict__.get("_configuration", {})
        if name == "vocab_size":
            return known[name] if name in known else self.__index__()
        if name.endswith("_token_id") and not name.startswith("_"):
            return known[name] if name in known else self.vocab[f"[{name[: -len('_id')]}]"]
        if name.endswith("_token") and not name.startswith("_"):
            return f"[{name}]"
        return super().__getattr__(name)

    def __len__(self) -> int:
        return int(self.vocab_size)

    @property
    def special_tokens_map(self) -> dict[str, str]:
        return _SpecialTokens()

    @property
    def vocab(self) -> dict[str, int]:
        known = self.__dict__.setdefault("_vocabulary", _Vocabulary())
        assert isinstance(known, dict)
        return known

    def get_vocab(self) -> dict[str, int]:
        return self.vocab

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        return self.vocab[tokens] if isinstance(tokens, str) else [self.vocab[token] for token in tokens]


class _SpecialTokens(dict):  # type: ignore[type-arg]  # from what a token is for to its text
    def __missing__(self, key: str) -> str:
        return f"[{key}]"


class _Vocabulary(dict):  # type: ignore[type-arg]  # from a token's text to its number
    def __missing__(self, token: str) -> int:
        self[token] = len(self)
        return len(self) - 1


def _inert(kind: str) -> Callable[[Any], None]:
    """A watcher for classes whose `from_pretrained` reads files that a probe does not have."""

    def change(module: Any) -> None:
        for value in list(vars(module).values()):
            usual = value.__dict__.get("from_pretrained") if inspect.isclass(value) else None
            if isinstance(usual, classmethod) and value.__module__ == module.__name__:
                value.from_pretrained = classmethod(_tried(usual.__func__, kind))

    return change


def _tried(usual: Callable[..., Any], kind: str) -> Callable[..., Any]:
    def from_pretrained(cls: Any, /, name: Any, *arguments: Any, **keywords: Any) -> Any:
        try:
            return usual(cls, name, *arguments, **keywords)
        except Exception:
            shown = f"{kind} {checkpoints.shortened(name)}"
            made = InertTokenizer(standins.missing(shown, "is not on this machine"))
            made.__dict__["_configuration"] = _known_or_default(name)
            return made

    return from_pretrained


def _known_or_default(name: Any) -> Mapping[str, Any]:
    known = checkpoints.configuration(name)
    if known is not None:
        return known
    try:
        return dict(_auto_config().from_pretrained(name).to_dict())
    except Exception:
        return {}


_CHECKPOINT = re.compile(
    r"name_or_(path|dir)$|type_or_dir$|path_or_name$|(^|_)checkpoint(_name)?$|^(pretrained_?)?(model|backbone|encoder|bert)_"
    r"(name|id)$|^pretrained_(model|name|path)$"
)
"""Parameters that are called as what names a checkpoint is."""
_EXAMPLE, _EXAMPLE_OF_TWO = "'bert-base-uncased'", "'t5-small'"


def argument(parameter: Any, cls: type, namespace: Mapping[str, Any]) -> str | None:
    """The configuration of a model: an instance of what `config_class` names, made without arguments. Where nothing
    says which checkpoint is meant, a well-known one.
    """
    if _CHECKPOINT.search(parameter.name) and parameter.annotation in (parameter.empty, str, "str"):
        used = _loaded(cls, namespace) or [value for value in namespace.values() if _is_of_library(value)]
        return (_EXAMPLE_OF_TWO if used and all(map(_has_decoder, used)) else _EXAMPLE) if used else None
    if parameter.name in ("tokenizer", "tok") and any(map(_is_of_library, namespace.values())):
        return f"__import__('transformers').AutoTokenizer.from_pretrained({_EXAMPLE})"
    config_class = getattr(cls, "config_class", None)
    if parameter.name not in ("config", "cfg", "configuration") or not inspect.isclass(config_class):
        return None
    own = next((name for name, value in namespace.items() if value is config_class and name.isidentifier()), None)
    module, name = config_class.__module__, config_class.__qualname__
    return f"{own}()" if own else f"__import__({module!r}, fromlist=[{name!r}]).{name}()"


def _loaded(cls: type, namespace: Mapping[str, Any]) -> list[Any]:
    """The classes of models that the constructor loads: ``self.bert = BertModel.from_pretrained(name)``."""
    tree = function_tree(getattr(cls, "__init__", None))
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)] if tree is not None else []
    names = [
        node.value.id for node in attributes if node.attr == "from_pretrained" and isinstance(node.value, ast.Name)
    ]
    found = [namespace.get(name) for name in names]
    return [value for value in found if _is_of_library(value) and "Tokenizer" not in getattr(value, "__name__", "")]


def _has_decoder(model: Any) -> bool:
    """Whether a class of models has an encoder and a decoder, as its configuration says, or its name where it chooses
    the class itself.
    """
    config_class = getattr(model, "config_class", None)
    try:
        return bool(config_class().is_encoder_decoder) if config_class is not None else "Seq2Seq" in model.__name__
    except Exception:
        return False


def _is_of_library(value: Any) -> bool:
    return str(getattr(value, "__module__", "")).startswith("transformers.") or value is sys.modules.get("transformers")


_TOKENS = frozenset(
    {"input_ids", "decoder_input_ids", "labels", "token_type_ids", "position_ids", "inputs", "bool_masked_pos"}
)
_MASKS = frozenset({"attention_mask", "decoder_attention_mask", "encoder_attention_mask"})
BATCH, LENGTH, WIDTH = 2, 8, 16


def container(asked: Asked, namespace: Mapping[str, Any]) -> Guess | None:
    """What a model of the library takes under the name that it is passed as: ids and masks are `(B, L)` integers.

    What is passed by its keys (``**inputs``) has those that the model needs and those that are read; what is read by
    names of the model's parameters is an encoding of the library.
    """
    for model, parameter, call in _models(asked):
        place = _place(asked, model), call
        if parameter == SPREAD:
            keys = dict.fromkeys((*_main_inputs(model), *asked.keys))
            items = [(key, _documented(model, key, place)) for key in keys]
            return DictGuess(tuple((key, item) for key, item in items if item is not None))
        found = _documented(model, parameter, place)
        if found is not None:
            return found
    given = [name for name in _OUTPUTS if name in asked.attributes]
    if set(given) & {"last_hidden_state", "pooler_output"} and not asked.passed:
        return RecordGuess(_OUTPUT, tuple((name, _OUTPUTS[name]) for name in given), "BaseModelOutputWithPooling")
    model = next((part for part in _parts(asked) if is_model(part)), None)
    read = [name for name in (*_ENCODED, "pixel_values") if name in asked.attributes]
    if model is None or not read or asked.passed:
        return None
    fields = [(name, _documented(model, name, ("", ""))) for name in read]
    return RecordGuess(_ENCODING, tuple((name, item) for name, item in fields if item is not None), "BatchEncoding")


_HIDDEN = TensorGuess((BATCH, LENGTH, 16), axes=(OneSize("B"), OneSize("L"), OneSize("D")))
_OUTPUTS: Mapping[str, Guess] = {
    "last_hidden_state": _HIDDEN,
    "pooler_output": TensorGuess((BATCH, 16), axes=(OneSize("B"), OneSize("D"))),
    "hidden_states": SequenceGuess((_HIDDEN,) * 3, "tuple"),
}
"""What a model gives, as it is read by the author's own layers on top of it."""
_OUTPUT = (
    "__import__('transformers.modeling_outputs', fromlist=['BaseModelOutputWithPooling']).BaseModelOutputWithPooling"
)
_ENCODED = ("input_ids", "attention_mask", "token_type_ids", "labels")
_ENCODING = "(lambda **items: __import__('transformers').BatchEncoding(items))"


def _main_inputs(model: Any) -> tuple[str, ...]:
    """The inputs that a model needs, and the mask that its tokenizer gives beside ids."""
    name = getattr(model, "main_input_name", "input_ids")
    taken = inspect.signature(model.forward).parameters
    return (name, "attention_mask") if name == "input_ids" and "attention_mask" in taken else (name,)


def _documented(model: Any, parameter: str, place: tuple[str, str]) -> Guess | None:
    """The tensor that a model takes as that parameter. `place` is its name in the module and the call of it."""
    # Two models may be given batches of their own, and two calls of one texts of other lengths.
    batch, length = OneSize("B", place[0]), OneSize("L", " ".join(place))
    if parameter in _TOKENS or parameter in _MASKS:
        if parameter.startswith("decoder_") or parameter == "labels":
            length = OneSize("T", length.of)
        return TensorGuess((BATCH, LENGTH), "int64", 0, 1, (batch, length))
    if parameter in ("inputs_embeds", "encoder_hidden_states", "input_features"):
        width = getattr(model.config, "hidden_size", None) or getattr(model.config, "d_model", None) or 16
        return TensorGuess((BATCH, LENGTH, int(width)), axes=(batch, length, None))
    if parameter == "input_values":
        return TensorGuess((BATCH, 16000), axes=("B", "T"))
    if parameter == "pixel_values":
        side, channels = getattr(model.config, "image_size", 64), getattr(model.config, "num_channels", 3)
        sides = tuple(side) if isinstance(side, (list, tuple)) else (side, side)
        return TensorGuess((BATCH, channels, *sides), axes=("B", None, None, None))
    return _written(model, parameter, batch, length)


_SHAPE = r"^[ \t]*{name} \(`?(?P<type>[\w.]+)`? of shape `?\((?P<dims>[^()`]*)\)`?"
"""How the library writes the shape of a parameter: ``bbox (`torch.LongTensor` of shape `(batch_size, ..., 4)`)``."""
_BATCH_NAMES = frozenset({"batch_size", "bs", "batch"})
_LENGTH_NAMES = frozenset(
    {"sequence_length", "seq_length", "seq_len", "src_seq_len", "token_sequence_length", "context_length"}
)


def _written(model: Any, parameter: str, batch: OneSize, length: OneSize) -> TensorGuess | None:
    """The tensor whose shape the docstring of the model's `forward` gives: numbers, names of its configuration, and
    names of sizes that are free.
    """
    found = re.search(_SHAPE.format(name=re.escape(parameter)), model.forward.__doc__ or "", re.MULTILINE)
    names = [part.strip() for part in found["dims"].split(",") if part.strip()] if found is not None else []
    if found is None or not names:
        return None
    dims = [_written_size(model, name) for name in names]
    free = {**dict.fromkeys(_BATCH_NAMES, batch), **dict.fromkeys(_LENGTH_NAMES, length)}
    kind = found["type"].rpartition(".")[2]
    dtype = {"LongTensor": "int64", "IntTensor": "int64", "BoolTensor": "bool"}.get(kind, "float32")
    return TensorGuess(tuple(dims), dtype, axes=tuple(free.get(name) for name in names))


def _written_size(model: Any, name: str) -> int:
    """The size of a dim that is written so."""
    if name.isdigit():
        return int(name)
    if name in _BATCH_NAMES:
        return BATCH
    known = getattr(model.config, name.rpartition(".")[2], None)
    if type(known) is int:
        return known
    return LENGTH if name in _LENGTH_NAMES else WIDTH


def _place(asked: Asked, model: Any) -> str:
    """The name of a part in the module."""
    parts = asked.module.named_modules() if asked.module is not None else ()
    return next((name for name, part in parts if part is model), "")


def _parts(asked: Asked) -> Iterator[Any]:
    if asked.module is not None:
        yield from asked.module.modules()


def _models(asked: Asked) -> Iterator[tuple[Any, str, str]]:
    """The models that it is passed to as it is, each with the name of the parameter there and the call."""
    for item in asked.passed:
        target = getattr(item.target, "__self__", item.target)
        if is_model(target):
            yield target, item.parameter, item.call


def is_model(part: Any) -> bool:
    """Whether a part is a model of the library."""
    return hasattr(part, "config") and any(
        base.__name__ == "PreTrainedModel" and base.__module__.startswith("transformers.")
        for base in type(part).__mro__
    )


WATCHED: Mapping[str, Callable[[Any], None]] = {
    "transformers.configuration_utils": _configuration_utils,
    "transformers.models.auto.configuration_auto": _auto_configuration,
    "transformers.modeling_utils": _modeling_utils,
    "transformers.models.auto.modeling_auto": _auto_models,
    "transformers.models.auto.tokenization_auto": _inert("tokenizer"),
    "transformers.tokenization_utils_base": _inert("tokenizer"),
    "transformers.models.auto.processing_auto": _inert("processor"),
    "transformers.processing_utils": _inert("processor"),
    "transformers.models.auto.image_processing_auto": _inert("image processor"),
    "transformers.image_processing_base": _inert("image processor"),
    "transformers.models.auto.feature_extraction_auto": _inert("feature extractor"),
    "transformers.feature_extraction_utils": _inert("feature extractor"),
}
