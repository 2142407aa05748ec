"""A config is made as its author makes it, where a class of it builds alone."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest
from torch import nn

from ts_shape_server.agent.infer.constructor import config_instances


@dataclasses.dataclass
class NetConfig:
    width: int = 8


@dataclasses.dataclass
class OpenConfig:
    width: int

    @classmethod
    def get_default(cls) -> OpenConfig:
        return cls(3)

    @classmethod
    def default_config(cls) -> OpenConfig:
        return cls(4)


@dataclasses.dataclass
class OtherConfig:
    depth: int = 2


class Annotated(nn.Module):
    def __init__(self, config: NetConfig) -> None:
        super().__init__()


class Spelled(nn.Module):
    def __init__(self, config: NetConfig) -> None:
        super().__init__()


class Compared(nn.Module):
    def __init__(self, options) -> None:  # type: ignore[no-untyped-def]  # the case
        super().__init__()
        assert isinstance(options, NetConfig)


class Open(nn.Module):
    def __init__(self, config: OpenConfig) -> None:
        super().__init__()


class Given(nn.Module):
    @staticmethod
    def get_default_config() -> NetConfig:
        return NetConfig(5)

    def __init__(self, cfg) -> None:  # type: ignore[no-untyped-def]  # the case
        super().__init__()


class Plain(nn.Module):
    def __init__(self, config) -> None:  # type: ignore[no-untyped-def]  # the case
        super().__init__()


class AbstractConfig:
    @property
    def width(self) -> int:
        raise NotImplementedError


class Abstract(nn.Module):
    def __init__(self, config: AbstractConfig) -> None:
        super().__init__()


class Number(nn.Module):
    def __init__(self, width: int, layer: nn.Module) -> None:
        super().__init__()


@pytest.mark.parametrize(
    ("cls", "read", "expected"),
    [
        (Annotated, {"width"}, "NetConfig()"),
        (Spelled, set(), "NetConfig()"),
        (Compared, set(), "NetConfig()"),
        (Open, {"width"}, "OpenConfig.default_config()"),
        (Given, {"width"}, "Given.get_default_config()"),
        (Plain, {"depth"}, "OtherConfig()"),
        (Plain, {"height"}, None),
        (Plain, set(), None),
        (Abstract, {"width"}, None),
        (Number, set(), None),
    ],
)
def test_a_config_is_an_instance_of_the_authors_class(cls: type, read: set[str], expected: str | None) -> None:
    parameter: Any = list(inspect.signature(cls.__init__).parameters.values())[1]  # type: ignore[misc]  # read only
    assert config_instances.made(parameter, cls, read, globals()) == expected
