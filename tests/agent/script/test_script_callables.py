"""Functions and modules that are passed around as values are called by their names."""

from __future__ import annotations

from pathlib import Path

from repairs import IMAGE, check


def test_each_call_of_a_chosen_function_names_it(tmp_path: Path) -> None:
    source = """
        def blur(x, win):
            if x.dim() == 4:
                conv = F.conv2d
            elif x.dim() == 5:
                conv = F.conv3d
            else:
                raise NotImplementedError(x.shape)
            out = x
            for i in range(2):
                out = conv(out, weight=win)  # kept
            return out

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer("win", torch.ones(3, 3, 1, 1))

            def forward(self, x):
                pool = F.avg_pool2d if x.dim() == 4 else F.avg_pool3d
                return pool(blur(x, self.win), 2)
        """
    choice = '        conv = "conv2d"\n    elif x.dim() == 5:\n'
    calls = (
        '        if conv == "conv2d":\n            out = F.conv2d(out, weight=win)\n        else:\n'
        "            out = F.conv3d(out, weight=win)  # kept\n"
    )
    pools = '        if pool == "avg_pool2d":\n            return F.avg_pool2d(blur(x, self.win), 2)\n        else:\n'
    check(tmp_path, source, choice, calls, pools, "raise NotImplementedError(x.shape)", example=IMAGE)


def test_a_function_that_gets_a_module_of_the_class_is_its_method(tmp_path: Path) -> None:
    source = '''
        def attention(query, key, d_k, mask=None, dropout=None):
            """Weights
            of keys."""
            scores = torch.matmul(query, key.transpose(-2, -1)) / math.sqrt(d_k)

            if mask is not None:
                scores = scores.masked_fill(mask == 0, -1e9)
            if dropout is not None:
                scores = dropout(scores)  # kept
            return scores.softmax(dim=-1)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.drop = nn.Dropout(0.1)

            def forward(self, x, mask=None):
                return attention(x, x, 3, mask=mask, dropout=self.drop)
        '''
    pieces = (
        "def _attention(self, query, key, d_k: int, mask: Optional[Tensor] = None):\n        scores =",
        "        if self.drop is not None:\n            scores = self.drop(scores)  # kept\n",
        "return self._attention(x, x, 3, mask=mask)",
        "def attention(query, key, d_k: int,",
    )
    check(tmp_path, source, *pieces)


def test_functions_that_hold_values_are_methods(tmp_path: Path) -> None:
    source = """
        from functools import partial

        class Net(nn.Module):
            def __init__(self, slope=0.2, factor=2.0):
                super().__init__()
                self.leaky = partial(F.leaky_relu, negative_slope=slope)
                self.flat = partial(torch.flatten, start_dim=1)
                self.scaled = lambda value: value * factor  # of what comes in

            def forward(self, x):
                return self.flat(self.leaky(self.scaled(x)))
        """
    pieces = (
        "self._leaky_negative_slope = slope\n",
        "    def leaky(self, input):\n        return F.leaky_relu(input, negative_slope=self._leaky_negative_slope)\n",
        "    def flat(self, input):\n        return torch.flatten(input, start_dim=1)\n",
        "self._scaled_factor = factor",
        "    def scaled(self, value):\n        return value * self._scaled_factor\n",
    )
    check(tmp_path, source, *pieces)


def test_keywords_that_are_spread_are_named(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.up = {"mode": "bilinear", "align_corners": False}

            def forward(self, x):
                options = dict(dim=1, keepdim=True)
                return F.interpolate(x, size=(4, 4), **self.up).mean(**options)  # kept
        """
    text = 'F.interpolate(x, size=(4, 4), mode="bilinear", align_corners=False).mean(dim=1, keepdim=True)  # kept'
    check(tmp_path, source, text, example=IMAGE)
