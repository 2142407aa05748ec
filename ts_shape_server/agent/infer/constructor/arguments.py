"""Constructor arguments for a class nobody constructs: from defaults, names, use in the body, and repair from errors.

A plan maps parameters to Python expressions in the module's own namespace, as the contract wants them. Integer sizes
come from a *profile*: the first gives each role a value of its own, later ones make sizes agree. Builds nothing
itself.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from ts_shape_server.agent import ecosystem
from ts_shape_server.agent.infer.constructor import config_instances, configs
from ts_shape_server.agent.infer.facts.uses import Use, required, uses_of
from ts_shape_server.agent.infer.guesses import portable
from ts_shape_server.agent.infer.guesses.portable import SIMPLE_NAMESPACE


@dataclass(frozen=True)
class Profile:
    """Sizes for the integer arguments. `sizes` are handed out in order of the parameters; the last one repeats."""

    name: str
    sizes: tuple[int, ...]
    heads: int = 4
    classes: int = 10


PROFILES = (
    Profile("distinct", (16, 32, 48, 64, 24, 40, 56, 72, 80, 96)),
    Profile("equal", (64,), heads=4),
    Profile("small", (4,), heads=4, classes=4),
    Profile("wide", (256,), heads=8),
    Profile("one", (1,), heads=1, classes=2),
)

_NUMBERS: tuple[tuple[str, str], ...] = (
    (r"kernel|ksize|^k_size$|^k$|^ks$|filter_size|window_length", "3"),
    (
        r"stride|dilation|groups?$|^s$|^d$|group_num|expan(d|sion)|multiplier|mult?$|mlp_ratio|ratio$|reps$|cardinality",
        "1",
    ),
    (r"^p(ad|adding)?$|padding|^pad", "1"),
    (r"drop|^p$|prob|keep_rate|noise", "0.1"),
    (
        r"momentum|eps|epsilon|alpha|beta|gamma|temperature|temp$|lambd|weight_decay|slope|smooth|margin|theta|sigma|tau|"
        r"^lr$|learning_rate|init_values?|threshold|std$|mean$|decay|gain",
        "0.1",
    ),
    (r"scale|upscale|factor|reduction|^r$|squeeze|downsample_rate|pool_size", "2"),
    (
        r"layers?$|depth|n(um)?_downs?|num_block|n_block|blocks?$|bl(oc)?ks?_num|num_blks?|(layer|stage|res)_num|n(um)?_res|repeat|^n$|iters?$|iterations|steps?$|num_stage|stages?$|levels?$|"
        r"num_scales|n_layer|nlayer|hops?$|^t$|^l$",
        "2",
    ),
    (r"vocab|ntoken|num_embeddings|n_token|num_tokens|dict_size|num_words|n_words|num_users|num_items|n_entit", "100"),
    (r"max_len|max_seq|seq_len|max_position|block_size|sequence_length|context_length|n_ctx|maxlen", "32"),
    (r"(img|image|input)_?(size|res|resolution|dim)$|^resolution|crop_size|^img$|^size$", "32"),
    (r"patch|window", "4"),
    (r"pad(ding)?_idx|pad_token|blank|axis", "0"),
)
_FLAGS = re.compile(
    r"^(use|is|with|has|do|enable|return|no|should|if|need|apply|add|learn|output|share|train|causal|bidirectional|residual|"
    r"bias|bn|norm|affine|batch_first|batch_norm|pretrained|inplace|last|deep_supervision|aux|debug|verbose|downsample|"
    r"upsample|shortcut|skip|attention|bilinear)(_|$)|_flag$|_on$"
)
_CLASSES = re.compile(
    r"num_class|n_class|nclass|class_num|classes$|num_label|n_out|out_dim|num_outputs?|output_dim|output_size|nb_class"
)
_HEADS = re.compile(r"heads?$|^h$|n_?heads?|num_?heads?")
_NORMS = re.compile(r"norm(_layer|_fn|_class|_type|_func)?$|^bn$")
_ACTIVATIONS = re.compile(r"act(ivation)?(_layer|_fn|_func|_function|_class|_type|_name)?$|nonlinear|non_linear|relu$")
_MODULES = re.compile(
    r"model|backbone|encoder|decoder|net$|network|module|submodule|fn$|layer$|block$|head$|generator|discriminator|"
    r"extractor|body$|trunk|core$|cell$|attn$|attention$|^features$|embed(ding)?s?$|classifier|stem|neck|pool$|sublayer|^f$|^g$"
)
_COUNTS = re.compile(r"(?:d|n|num|dim|len|size|max|in|out|hidden)_")
"""A name that begins like this is a number, whatever it goes on with: `d_embed`, `n_head`."""
_LOSSES = re.compile(r"(^|_)(criterion|loss)(_?(fn|fcn|func|function|module|layer))?$")
LOSS = "nn.BCEWithLogitsLoss()"
"""A loss that takes two tensors, which must be of one size: losses that broadcast would hide sizes that disagree."""
_CONFIGS = re.compile(
    r"^(cfg|config|conf|args|opt|opts|options|hparams|params|hps|hp|configs|arg|c|flags)$|_(cfg|config|args|opt|params)$"
)
_SEQUENCES = re.compile(
    r"channels$|planes$|filters$|dims$|sizes$|layers$|blocks$|widths$|depths$|hidden_dims|features$|list$|units$|strides$|"
    r"dilations$|kernels$|ratios$|scales$|bins$|num_channels|shape$|config$"
)


MOST_COUNTED = 64
"""A greater number of layers than that takes too long to build for a guess."""

Plan = dict[str, str]
"""Expressions by parameter name, in the order of the signature."""


def plan(cls: type, given: Mapping[str, str], profile: Profile, namespace: Mapping[str, Any], within: int = 0) -> Plan:
    """Expressions for all that `cls` needs; `given` wins. `within`: for the argument of an argument, and so on."""
    uses = uses_of(cls)
    sizes = Sizes(profile)
    result: Plan = {}
    for parameter in required(cls):
        name = parameter.name
        if name in given:
            result[name] = given[name]
        else:
            use = uses.get(name, Use())
            # What the constructor compares it with says more than how it is called.
            known = None if use.strings else ecosystem.argument(parameter, cls, namespace)
            known = known or config_instances.made(parameter, cls, use.attributes, namespace)
            known = known or _config_with_fields(parameter, cls, use.attributes, sizes, namespace)
            known = known or _side(parameter, required(cls))
            known = known or _annotated_module(parameter, cls, profile, namespace, within)
            result[name] = known or _expression(parameter, use, sizes, namespace)
    result.update({name: expression for name, expression in given.items() if name not in result})
    return result


def _config_with_fields(
    parameter: inspect.Parameter,
    cls: type,
    attributes: set[str],
    sizes: Sizes,
    namespace: Mapping[str, Any],
    within: frozenset[type] = frozenset(),
) -> str | None:
    """An instance of a config class that needs values for some of its fields: those are guessed like arguments."""

    def guess(item: inspect.Parameter, around: frozenset[type]) -> str:
        nested = config_instances.made(item, cls, set(), namespace)
        nested = nested or _config_with_fields(item, cls, set(), sizes, namespace, around)
        return nested or _expression(item, Use(), sizes, {})

    start = sizes.taken
    found = config_instances.with_fields(parameter, cls, attributes, namespace, guess, within)
    if found is None:
        sizes.taken = start
    return found


MOST_WITHIN = 2
"""Modules that are arguments of arguments."""


def _annotated_module(
    parameter: inspect.Parameter, cls: type, profile: Profile, namespace: Mapping[str, Any], within: int
) -> str | None:
    """An instance of the module class that the annotation names, which is none of torch's own: ``bert: BERT``."""
    kind = parameter.annotation
    if isinstance(kind, str) and kind.isidentifier():
        kind = namespace.get(kind)
    if not isinstance(kind, type) or not issubclass(kind, nn.Module) or kind is cls or within >= MOST_WITHIN:
        return None
    if kind.__module__.split(".")[0] == "torch" or kind.forward is nn.Module.forward:
        return None
    name = portable.by_name(kind, namespace)
    given = None if name is None else call_arguments(kind, profile, namespace, within + 1)
    return None if given is None else f"{name}({given})"


_HEIGHT, _WIDTH = re.compile(r"(^|_)(h|height)(?=_|$)"), re.compile(r"(^|_)(w|width)(?=_|$)")
SIDE = "32"
"""Of an image, as where one argument is its size."""


def _side(parameter: inspect.Parameter, every: Iterable[inspect.Parameter]) -> str | None:
    """The side of an image: `h` is one where there is a `w` beside it, and else a number of heads."""
    if parameter.annotation not in (parameter.empty, int, "int"):
        return None
    every = list(every)
    heights, widths = (
        {pattern.sub(r"\1", item.name): item.name for item in every if pattern.search(item.name)}
        for pattern in (_HEIGHT, _WIDTH)
    )
    sides = {names[stem] for stem in heights.keys() & widths.keys() for names in (heights, widths)}
    return SIDE if parameter.name in sides else None


class Sizes:
    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.taken = 0

    def take(self) -> int:
        sizes = self.profile.sizes
        value = sizes[min(self.taken, len(sizes) - 1)]
        self.taken += 1
        return value


def expression_for(name: str, profile: Profile) -> str:
    """An expression for an argument of which no more is known than its name."""
    parameter = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY)
    return _expression(parameter, Use(), Sizes(profile), {})


def _expression(parameter: inspect.Parameter, use: Use, sizes: Sizes, namespace: Mapping[str, Any]) -> str:
    name = parameter.name.lower()
    counted = use.least_counted() if parameter.annotation in (parameter.empty, int, "int") else None
    if counted is not None and counted <= MOST_COUNTED:
        return str(counted)
    annotated = _by_annotation(parameter.annotation, name, sizes)
    if annotated is not None:
        return annotated
    if use.strings:
        return repr(use.strings[0])
    if parameter.annotation in (str, "str"):
        return "'relu'" if _ACTIVATIONS.search(name) else "'x'"
    if _is_loss(name, use):
        return LOSS
    if use.attributes or (use.called and "block" in name):
        made = class_with(use.attributes, namespace)
        if made is not None:
            return made
    if use.called:
        return callable_by_name(name)
    if use.attributes or (_CONFIGS.search(name) and not use.numeric):
        return namespace_expression(sorted(use.attributes), sizes.profile)
    if use.keys:
        return "{" + ", ".join(f"{key!r}: {by_name(key, sizes)}" for key in sorted(use.keys)) + "}"
    if _is_module(name, use):
        return "nn.Identity()"
    if use.spread:
        return "[nn.Identity()]"
    if (use.iterated or use.indexed) and not use.ranged:
        return list_of(name, sizes)
    return by_name(name, sizes)


def class_with(attributes: set[str], namespace: Mapping[str, Any]) -> str | None:
    """The name of the first module class in the file that has these attributes, and takes sizes."""
    return next(classes_with(attributes, namespace), None)


def classes_with(attributes: set[str], namespace: Mapping[str, Any]) -> Iterator[str]:
    """The names of the module classes in the file that have these attributes, and take sizes."""
    own = namespace.get("__name__")
    for name, value in namespace.items():
        if not isinstance(value, type) or not issubclass(value, nn.Module) or value.__module__ != own:
            continue
        if all(hasattr(value, attribute) for attribute in attributes) and len(required(value)) >= 2:
            yield name


def _is_module(name: str, use: Use) -> bool:
    named = bool(_MODULES.search(name)) and _COUNTS.match(name) is None
    return bool(use.stored & {"called"}) or (named and not use.numeric and not use.ranged)


def _is_loss(name: str, use: Use) -> bool:
    """Whether what is called like a loss is used like one: asked for what losses have, or given two values."""
    if _LOSSES.search(name) is None or use.called or use.numeric:
        return False
    known = vars(nn.BCEWithLogitsLoss()).keys() | set(dir(nn.BCEWithLogitsLoss))
    return use.attributes <= known and ("reduction" in use.attributes or use.pairs)


def callable_by_name(name: str) -> str:
    """What a name suggests for something that the constructor calls."""
    if _NORMS.search(name):
        return "nn.BatchNorm2d"
    if _ACTIVATIONS.search(name):
        return "nn.ReLU"
    if "conv" in name:
        return "nn.Conv2d"
    return "nn.Identity"


def list_of(name: str, sizes: Sizes) -> str:
    if re.search(r"layers$|blocks$|depths$|num_units", name):
        return "[2, 2, 2, 2]"
    if re.search(r"strides?$|dilations?$|groups$", name):
        return "[1, 1, 1, 1]"
    if re.search(r"kernels?(_sizes?)?$", name):
        return "[3, 3, 3, 3]"
    if re.search(r"scales|ratios|bins", name):
        return "[1, 2, 3, 6]"
    if re.search(r"shape$|img|image|resolution", name):
        return "(3, 32, 32)"
    size = sizes.take()
    return f"[{size}, {size}, {size}, {size}]"


def by_name(name: str, sizes: Sizes) -> str:
    """A number, flag or object that a name suggests."""
    name = name.lower()
    if name == "device":
        return "'cpu'"
    if _FLAGS.search(name) and not re.search(
        r"size|dim|num|channels|planes|drop|prob|rate|eps|len|factor|scale|type|mode|layers|path|name|head|hidden|"
        r"width|layer|fn|func|class|"
        r"feat|filters|units|vocab|idx|index|file|_?nc$|_?ch$|_c$|(in|out|input|output)$",
        name,
    ):
        return "True" if re.search(r"bias|affine|batch_first", name) else "False"
    if _CLASSES.search(name):
        return str(sizes.profile.classes)
    if _HEADS.search(name):
        return str(sizes.profile.heads)
    for pattern, value in _NUMBERS:
        if re.search(pattern, name):
            if sizes.profile.name == "one" and value in ("2", "4"):
                return "1"
            return value
    if _NORMS.search(name):
        return "nn.BatchNorm2d"
    if _ACTIVATIONS.search(name):
        return "nn.ReLU()"
    if re.search(r"(^|_)shape$", name):
        return list_of(name, sizes)
    if (
        _SEQUENCES.search(name)
        and re.search(r"s$|list$", name)
        and not re.search(r"channels$|planes$|filters$|features$|units$", name)
    ):
        return list_of(name, sizes)
    return str(sizes.take())


def first_by_name(name: str) -> str:
    """What a name alone suggests, in the first profile."""
    return by_name(name, Sizes(PROFILES[0]))


def _by_annotation(annotation: Any, name: str, sizes: Sizes) -> str | None:
    if annotation is inspect.Parameter.empty:
        return None
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    text = text.replace("typing.", "").replace("torch.nn.modules.module.", "")
    if annotation is int or text == "int":
        value = by_name(name, sizes)
        return value if re.fullmatch(r"\d+", value) else str(sizes.take())
    if annotation is float or text == "float":
        return "0.1"
    if annotation is bool or text == "bool":
        return "False"
    if (text.startswith(("Optional[", "Union[")) and "None" in text) or text.startswith("Optional["):
        return "None"
    if typing.get_origin(annotation) is typing.Literal:
        return repr(typing.get_args(annotation)[0])
    chosen = _class_argument(annotation)
    if chosen is not None:
        return chosen
    if (isinstance(annotation, type) and issubclass(annotation, nn.Module)) or text.endswith(("nn.Module", "Module")):
        return "nn.Identity()"
    if re.match(r"(List|Sequence|list|Iterable)\[(int|float)\]", text) or re.match(
        r"(Tuple|tuple)\[int, \.\.\.\]", text
    ):
        return list_of(name, sizes)
    match = re.match(r"(?:Tuple|tuple)\[((?:int(?:, )?)+)\]$", text)
    if match:
        return "(" + "".join(f"{by_name(name, sizes)}, " for _ in match.group(1).split(",")) + ")"
    return None


def _class_argument(annotation: Any) -> str | None:
    """The first class that ``type[A | B]`` allows."""
    if typing.get_origin(annotation) is not type:
        return None
    inner = typing.get_args(annotation)[0] if typing.get_args(annotation) else None
    options = typing.get_args(inner) or (inner,)
    return next((item.__name__ for item in options if isinstance(item, type)), None)


def namespace_expression(attributes: list[str], profile: Profile) -> str:
    """A stand-in for a config object with these attributes."""
    sizes = Sizes(profile)
    inner = ", ".join(f"{name}={by_name(name, sizes)}" for name in attributes if name.isidentifier())
    return f"{SIMPLE_NAMESPACE}{inner})"


def int_arguments(current: Plan) -> dict[str, int]:
    """The arguments that are plain integers."""
    return {name: int(expression) for name, expression in current.items() if re.fullmatch(r"\d+", expression)}


def call_arguments(cls: type, profile: Profile, namespace: Mapping[str, Any], within: int = 0) -> str | None:
    """Guessed arguments for a call of `cls`, as text; None where one of them would have to be a module itself."""
    made = plan(cls, {}, profile, namespace, within)
    if any("nn.Identity" in expression or configs.is_config(expression) for expression in made.values()):
        return None
    return ", ".join(f"{name}={expression}" for name, expression in made.items())


def optional(cls: type) -> list[str]:
    """The constructor's parameters that may be left out and are None then."""
    try:
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]  # read, not called
    except (TypeError, ValueError):
        return []
    return [item.name for item in parameters if item.default is None]
