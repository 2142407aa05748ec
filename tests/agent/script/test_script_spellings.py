"""What TorchScript has no words for is said in those that it has, with the same meaning."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from repairs import HEADER, Bench, X, check


def test_variable_is_taken_out_and_old_constructors_are_spelled_anew(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x):
                zeros = Variable(x.new(x.size(0), 3).zero_())
                weights = torch.Tensor([1.0, 2.0, 3.0])
                return (x + zeros) * weights
        """
    check(tmp_path, source, "zeros = x.new_empty([x.size(0), 3]).zero_()", "torch.tensor([1.0, 2.0, 3.0], dtype=")


def test_private_attributes_are_named_as_python_stores_them(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.__fc = nn.Linear(3, 3)

            def forward(self, x):
                return self.__fc(x)
        """
    check(tmp_path, source, "return self._Net__fc(x)")


def test_a_parents_method_of_this_file_gets_a_name_that_can_be_called(tmp_path: Path) -> None:
    source = """
        class Base(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 3)

            # what all do
            def forward(self, x, times=2):
                return self.fc(x) * times  # kept

        class Middle(Base):
            def forward(self, x):
                return super().forward(x) + 1

        class Net(Middle):
            def forward(self, x):
                return super(Net, self).forward(x) + 1
        """
    text = check(tmp_path, source, "return self._middle_forward(x) + 1", "return self._base_forward(x) + 1")
    assert (
        "# what all do\n    def forward(self, x, times: int = 2):\n        return self._base_forward(x, times)" in text
    )
    assert "def _base_forward(self, x, times: int = 2):\n        return self.fc(x) * times  # kept" in text


def test_none_is_asked_for_with_is(tmp_path: Path) -> None:
    source = """
        def exists(value):
            return value is not None

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.mlp = None
                self.scale = None

            def forward(self, x, bias=None):
                if exists(self.mlp) and exists(bias):
                    x = self.mlp(x)
                if not exists(bias):
                    x = x + 1
                if self.scale != None:
                    x = self.scale(x)
                return x
        """
    pieces = ("if self.mlp is not None and bias is not None:", "if bias is None:", "if self.scale is not None:")
    check(tmp_path, source, *pieces)


def test_a_function_inside_forward_moves_out_with_what_it_takes_from_there(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x, factor=2):
                # before
                def scaled(value, plus=1):
                    # inside
                    return value * factor + plus

                return scaled(x) + scaled(x, plus=2)
        """
    text = check(tmp_path, source, "self._forward_scaled(x, factor=factor)", "scaled(x, plus=2, factor=factor)")
    assert "    def _forward_scaled(self, value, factor: int, plus: int = 1):\n        # inside\n" in text


def test_a_checkpointed_function_inside_forward_moves_out(tmp_path: Path) -> None:
    source = """
        from torch.utils import checkpoint as cp

        class Net(nn.Module):
            def __init__(self, with_cp=False):
                super().__init__()
                self.fc = nn.Linear(3, 3)
                self.with_cp = with_cp

            def forward(self, x):

                def _inner_forward(x):
                    return x * self.fc(x)

                if self.with_cp and x.requires_grad:
                    out = cp.checkpoint(_inner_forward, x)
                else:
                    out = _inner_forward(x)
                return out
        """
    check(tmp_path, source, "cp.checkpoint(self._forward_inner_forward, x)", "with_cp: Final[bool]")


def test_the_types_of_static_methods_are_written(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            @staticmethod
            def above(x, threshold=0.5):
                return (x > threshold).float()

            def forward(self, x):
                return self.above(x, 0.2)
        """
    check(tmp_path, source, "def above(x, threshold: float = 0.5):")


def test_lambdas_are_methods_or_layers(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self, plain=True):
                super().__init__()
                self.twice = lambda v: v * 2  # of what comes in
                self.act = (lambda v: v) if plain else nn.ReLU()

            def forward(self, x):
                return self.act(self.twice(x))
        """
    text = check(tmp_path, source, "self.act = (nn.Identity()) if plain else nn.ReLU()")
    assert "    def twice(self, v):  # of what comes in\n        return v * 2\n\n    def forward" in text
    assert "self.twice = " not in text


@pytest.mark.parametrize(
    ("made", "method"),
    [
        (
            "partial(F.leaky_relu, negative_slope=0.2)",
            "return F.leaky_relu(input, negative_slope=0.2)",
        ),
        ("partial(torch.mul, torch.tensor(2.0))", "return torch.mul(torch.tensor(2.0), input)"),
    ],
)
def test_a_partial_function_is_a_method(tmp_path: Path, made: str, method: str) -> None:
    source = f"""
        from functools import partial

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.act = {made}
                self.fc = nn.Linear(3, 3)

            def forward(self, x):
                return self.act(self.fc(x))
        """
    text = check(tmp_path, source, method)
    assert "self.act = " not in text


def test_an_f_string_keeps_its_quotes_and_the_title_tells_what_it_loses(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x):
                assert x.dim() > 9 or x.dim() > 0, f"{x.dim():>3} dims of {x.shape!r}"
                return x
        """
    text = HEADER + textwrap.dedent(source)
    done = Bench(tmp_path / "net.py", text, X, {}).repaired()
    assert 'x.dim() > 0, "{} dims of {}".format(x.dim(), x.shape)' in done.text
    assert done.titles == ("Write the f-string with plain `format` (it is printed without `:>3`, `!r`)",)


def test_a_dict_that_is_empty_at_first_has_the_types_that_it_gets(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.known = {}

            def forward(self, x):
                size = x.size(0)
                if size not in self.known:
                    self.known[size] = torch.arange(3.0)
                return x + self.known[size]
        """
    check(tmp_path, source, "known: Dict[int, Tensor]")


def test_a_lambda_that_takes_what_the_constructor_sets_later_stays(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self, factor=2):
                super().__init__()
                self.scaled = lambda v: v * factor
                factor = factor + 1
                self.fc = nn.Linear(3, 3)

            def forward(self, x):
                x = self.scaled(x)
                return self.fc(x)
        """
    text = HEADER + textwrap.dedent(source)
    assert Bench(tmp_path / "net.py", text, X, {}).repaired().text == text


def test_what_sets_attributes_of_tensors_is_said_by_methods(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 3)
                self.register_buffer("mask", torch.ones(3, 3).tril())

            def forward(self, x):
                self.fc.weight.data *= self.mask  # masked
                return self.fc(x)
        """
    check(tmp_path, source, "self.fc.weight.data.mul_(self.mask)  # masked")


def test_tensor_types_and_map_are_spelled_as_torchscript_has_them(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x):
                rows, columns = map(int, x.size())
                doubled = list(map(lambda size: size * 2, x.shape))
                mask = (x > 0).type(torch.FloatTensor)
                return x * mask * rows * columns * doubled[0]
        """
    comprehensions = ("[int(item) for item in x.size()]", "doubled = [item * 2 for item in x.shape]")
    check(tmp_path, source, *comprehensions, '(x > 0).to(torch.device("cpu"), torch.float32)')


def test_a_comprehension_with_a_condition_is_a_loop(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x):
                parts = [x, x + 1]
                large = [part * 2 for part in parts if part.dim() > 1]  # kept
                return large + [part for part in large if part.size(0) > 1 if part.dim() == 2][:1]
        """
    text = check(tmp_path, source, "large: List[Tensor] = []", "large.append(part * 2)  # kept")
    assert "[part for part in large if part.size(0) > 1 if part.dim() == 2]" not in text


def test_a_comprehension_that_is_not_evaluated_first_stays_where_it_is(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def forward(self, x):
                return x.add_(1).sum() + torch.stack([row for row in [x, x] if row.dim() > 1]).sum()
        """
    text = HEADER + textwrap.dedent(source)
    done = Bench(tmp_path / "net.py", text, X, {}).repaired()
    assert "for row in [x, x]:" not in done.text


def test_modules_behind_underscores_are_children(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.Sequential(nn.Linear(3, 3), nn.ReLU())

            def forward(self, x):
                for name, layer in self.layers._modules.items():
                    x = layer(x)
                for layer in self.layers._modules.values():
                    x = layer(x)
                return x
        """
    check(tmp_path, source, "in self.layers.named_children():", "in self.layers.children():")


def test_the_first_parameter_is_called_by_its_name(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self, size=3):
                super().__init__()
                self.size = size
                self.act = nn.ReLU()
                self.lstm = nn.LSTM(size, size, batch_first=True)

            def start(self, batch):
                weight = next(self.parameters()).data
                return weight.new(1, batch, self.size).zero_(), weight.new(1, batch, self.size).zero_()

            def forward(self, x, hidden=None):
                x = self.act(x).unsqueeze(1)
                if hidden is None:
                    hidden = self.start(x.size(0))
                out, hidden = self.lstm(x, hidden)
                return out, hidden
        """
    check(tmp_path, source, "weight = self.lstm.weight_ih_l0.data", "hidden: Optional[Tuple[Tensor, Tensor]] = None")


def test_the_first_parameter_stays_open_where_one_is_registered_by_name(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self, half=False):
                super().__init__()
                self.fc = nn.Linear(3, 3)
                first = torch.ones(3, dtype=torch.float16 if half else torch.float32)
                self.register_parameter("scale", nn.Parameter(first))

            def forward(self, x):
                return self.fc(x) + torch.ones(3).to(next(self.parameters()).dtype)
        """
    text = HEADER + textwrap.dedent(source)
    assert Bench(tmp_path / "net.py", text, X, {}).repaired().text.count("next(self.parameters())") == 1


def test_modules_in_modules_and_starred_sizes_are_unpacked(tmp_path: Path) -> None:
    source = """
        class Attention(nn.Module):
            def __init__(self, dim, heads=2):
                super().__init__()
                self.heads = heads
                self.to_qkv = nn.Linear(dim, dim * 3, bias=False)

            def forward(self, x):
                b, n, _, h = *x.shape, self.heads  # sizes
                parts = self.to_qkv(x).chunk(3, dim=-1)
                q, k, v = map(lambda t: t.reshape(b, n, h, -1).transpose(1, 2), parts)
                weights = torch.einsum("bhid,bhjd->bhij", q, k).softmax(dim=-1)
                return torch.einsum("bhij,bhjd->bhid", weights, v).transpose(1, 2).reshape(b, n, -1)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.ModuleList([Attention(4), nn.Linear(4, 4)]) for _ in range(2)])

            def forward(self, x):
                for attention, feed in self.layers:
                    x = attention(x) + x
                    x = feed(x) + x
                return x
        """
    pieces = ("b, n, _ = x.shape\n        h = self.heads  # sizes", "x = layer[0](x) + x", "x = layer[1](x) + x")
    check(tmp_path, source, *pieces, example={"x": {"tensor": [2, 5, 4]}})


def test_the_parents_forward_is_written_out(tmp_path: Path) -> None:
    source = """
        class Net(nn.Linear):
            def __init__(self):
                super().__init__(3, 3)

            def forward(self, x):
                return super().forward(x) + 1
        """
    check(tmp_path, source, "F.linear(x, self.weight, self.bias) + 1")


def test_a_context_that_decorates_is_entered_in_the_function(tmp_path: Path) -> None:
    source = '''
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 3)

            @torch.no_grad()
            def forward(self, x, times=2):
                """What
                it does."""
                # kept
                x = self.fc(x)

                return x * times  # kept
        '''
    text = check(tmp_path, source, '        it does."""\n        with torch.no_grad():\n            # kept\n')
    assert "            x = self.fc(x)\n\n            return x * times  # kept\n" in text
    assert "@torch.no_grad()" not in text
