"""Modules that are chosen by number or by name, gone through with others, or made in `forward`."""

from __future__ import annotations

from pathlib import Path

import pytest
from repairs import check


def test_modules_are_enumerated_where_the_loop_counts_them(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])

            def forward(self, x):
                for i in range(len(self.layers)):
                    x = self.layers[i](x) + i
                return x
        """
    check(tmp_path, source, "for i, layer in enumerate(self.layers):", "x = layer(x) + i")


def test_a_module_is_chosen_in_a_method_where_the_index_is_a_value(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.which = 1
                self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])

            def forward(self, x):
                return self.layers[self.which](x)
        """
    check(tmp_path, source, "return self._layers_at(self.which, x)", "for position, module in enumerate(self.layers):")


def test_a_module_is_chosen_in_a_branch_that_never_ran(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self, ups=0):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])
                self.ups = nn.ModuleList([nn.Linear(3, 3) for _ in range(ups)])

            def forward(self, x):
                for i in range(len(self.layers)):
                    x = self.layers[i](x)
                    if len(self.ups) > i:
                        x = self.ups[i](x)
                return x
        """
    check(tmp_path, source, "x = self._ups_at(i, x)", "for i, layer in enumerate(self.layers):")


@pytest.mark.parametrize("lookup", ['getattr(self, f"layer{i}")', 'self._modules[f"layer{i}"]'])
def test_a_module_that_is_looked_up_by_name_is_found_in_a_method(tmp_path: Path, lookup: str) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                for i in range(2):
                    setattr(self, f"layer{i}", nn.Linear(3, 3))

            def forward(self, x):
                for i in range(2):
                    layer = LOOKUP
                    x = layer(x)
                return x
        """.replace("LOOKUP", lookup)
    pieces = ('x = self._module_named(f"layer{i}", x)', "for child_name, module in self.named_children():")
    text = check(tmp_path, source, *pieces)
    assert lookup not in text


def test_methods_that_are_made_for_several_classes_have_the_same_name(tmp_path: Path) -> None:
    source = """
        class Other(nn.Module):
            def _layers_at(self, index):
                return index

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])

            def forward(self, x):
                for number in range(4):
                    x = self.layers[number % 2](x)
                return x
        """
    check(tmp_path, source, "self._layers_at(number % 2, x)")
    heir = source.replace("class Net(nn.Module)", "class Net(Other)")
    check(tmp_path, heir, "self._layers_at_2(number % 2, x)")


def test_modules_zipped_with_values_are_enumerated(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])

            def forward(self, x):
                outputs = [x, x + 1]
                total = x
                for output, layer in zip(outputs, self.layers):
                    total = total + layer(output)
                return total
        """
    text = check(tmp_path, source, "for index, layer in enumerate(self.layers):")
    assert "if index < len(outputs):\n" in text
    assert "    output = outputs[index]\n" in text


def test_modules_zipped_with_what_came_before_from_its_end_are_enumerated(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.down = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])
                self.up = nn.ModuleList([nn.Linear(6, 3) for _ in range(2)])

            def forward(self, x):
                skips = []
                for layer in self.down:
                    x = layer(x)
                    skips.append(x)
                for layer, skip in zip(self.up, reversed(skips)):  # the deepest first
                    x = layer(torch.cat([x, skip], 1))
                return x
        """
    pieces = ("skip_list = skips[::-1]\n", "in enumerate(self.up):  # the deepest first", "skip = skip_list[index]\n")
    check(tmp_path, source, *pieces)


def test_a_comprehension_over_modules_and_values_is_a_loop_that_ends_with_the_shorter(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(3)])

            def forward(self, x):
                parts = [x, x + 1]
                layer = 2
                return layer * torch.stack([layer(part) for part, layer in zip(parts, self.layers)])
        """
    check(tmp_path, source, "items: List[Tensor] = []", "if index < len(parts):", "torch.stack(items)")


def test_a_module_without_weights_is_built_once(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 3)

            def forward(self, x):
                softmax = nn.Softmax(dim=1)
                return softmax(self.fc(x))
        """
    text = check(tmp_path, source, "self.softmax = nn.Softmax(dim=1)", "return self.softmax(self.fc(x))")
    assert "                softmax =" not in text
