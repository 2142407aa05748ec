"""The flow through `forward` as it is read from the text. A graph is written as its edges, by names."""

from __future__ import annotations

import ast

from ts_shape_server.analysis.dataflow import flow

HEAD = "class Net(nn.Module):\n    def forward(self, x, y=None):\n"


def edges(body: str, rest: str = "") -> list[str]:
    lines = "".join(f"        {line}\n" for line in body.split("\n"))
    found = flow(ast.parse(HEAD + lines + rest), "Net")
    names = {item.number: item.name for item in found.nodes}
    return [f"{names[item.source]} {'~>' if item.back else '->'} {names[item.target]}" for item in found.edges]


def test_layers_and_functions_follow_each_other() -> None:
    assert edges("x = F.relu(self.bn(self.conv(x)))\nreturn self.fc(x.flatten(1))") == [
        "x -> conv",
        "conv -> bn",
        "bn -> relu · flatten",
        "relu · flatten -> fc",
        "fc -> output",
    ]


def test_a_skip_goes_around_what_it_skips() -> None:
    assert edges("out = self.conv(x)\nout += self.short(x)\nreturn out") == [
        "x -> conv",
        "x -> short",
        "conv -> +",
        "short -> +",
        "+ -> output",
    ]


def test_a_loop_over_modules_is_drawn_once_and_leads_back() -> None:
    found = edges("for block in self.h:\n    x = block(x)\nreturn self.norm(x)")
    assert found == ["x -> h", "h ~> h", "h -> norm", "norm -> output"]


def test_both_sides_of_a_condition_are_drawn() -> None:
    assert edges("if self.deep:\n    x = self.a(x)\nelse:\n    x = self.b(x)\nreturn x") == [
        "x -> a",
        "x -> b",
        "a -> output",
        "b -> output",
    ]


def test_a_side_that_returns_does_not_go_on() -> None:
    assert edges("if self.deep:\n    return self.a(x)\nreturn self.b(x)") == [
        "x -> a",
        "a -> output",
        "x -> b",
        "b -> output",
    ]


def test_a_method_of_the_class_is_drawn_where_it_is_called() -> None:
    helper = "    def embed(self, z):\n        return self.emb(z)\n"
    assert edges("return self.fc(self.embed(x))", helper) == ["x -> emb", "emb -> fc", "fc -> output"]


def test_what_is_collected_in_a_list_comes_out_of_it() -> None:
    found = edges("h = []\nh.append(self.down(x))\nreturn torch.cat((self.up(x), h.pop()), 1)")
    assert found == ["x -> down", "x -> up", "down -> cat", "up -> cat", "cat -> output"]


def test_sizes_are_no_flow() -> None:
    assert edges("n = x.shape[0]\nz = self.emb(torch.arange(n))\nreturn z * 2") == ["arange -> emb", "emb -> output"]


def test_a_method_that_calls_itself_ends() -> None:
    helper = "    def again(self, z):\n        return self.again(self.fc(z))\n"
    assert edges("return self.again(x)", helper)


def test_a_class_without_forward_has_no_flow() -> None:
    assert flow(ast.parse("class Net: pass"), "Net").nodes == ()
    assert flow(ast.parse(HEAD + "        return x"), "Elsewhere").nodes == ()
