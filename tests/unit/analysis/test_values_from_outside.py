"""What a command line, the environment or a person gives may be another value: no error is told of it."""

from __future__ import annotations

import pytest

from ts_shape_server.analysis.certainty import asks_outside


@pytest.mark.parametrize(
    ("setup", "outside"),
    [
        ("from library import Parser\nargs = Parser(Args).parse_args_into_dataclasses()[0]", True),
        ("from omegaconf import OmegaConf\nconf = OmegaConf.from_cli()", True),
        ("import jsonargparse\nargs = jsonargparse.CLI(Args)", True),
        ("import argparse\nparser = argparse.ArgumentParser()", True),
        ("from settings import parse_args\nargs = parse_args()", True),
        ("import os\nwidth = int(os.environ['WIDTH'])", True),
        ("width = int(input())", True),
        ("input_size = 3\nparse_argument = input_size", False),
        ("import torch\nx = torch.ones(3)", False),
    ],
)
def test_what_is_asked_outside(setup: str, outside: bool) -> None:
    assert asks_outside(setup) is outside
