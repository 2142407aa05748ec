"""einops patterns as methods of a tensor: the chain for each kind of pattern, and none for what has none."""

from __future__ import annotations

import pytest

from ts_shape_server.analysis.axes import equation, methods

CHAINS = {
    ("b c h w -> b c (h w)", ""): ".flatten(2, 3)",
    ("b (h d) n -> b h d n", "h"): ".unflatten(1, (h, -1))",
    ("b n (h d) -> b h n d", "h"): ".unflatten(2, (h, -1)).permute(0, 2, 1, 3)",
    ("b (c p) -> b c p", "c p"): ".unflatten(1, (c, p))",
    ("b c (h p) (w q) -> b (h w) (p q c)", "p q"): (
        ".unflatten(3, (-1, q)).unflatten(2, (-1, p)).permute(0, 2, 4, 3, 5, 1).flatten(3, 5).flatten(1, 2)"
    ),
    ("... n d -> ... d n", ""): ".transpose(-2, -1)",
    ("... h n d -> ... n (h d)", ""): ".transpose(-3, -2).flatten(-2, -1)",
    ("b ... d -> d b ...", ""): ".movedim((-1, 0), (0, 1))",
    ("b c ... -> b (c ...)", ""): ".flatten(1, -1)",
    ("b 1 n -> n b", ""): ".squeeze(1).permute(1, 0)",
    ("b n -> b () n", ""): ".unsqueeze(1)",
    ("1 n d -> b n d", "b"): ".expand(b, -1, -1)",
    ("h w -> (r h) w", "r"): ".unsqueeze(0).expand(r, -1, -1).flatten(0, 1)",
    ("b c -> b c", ""): "",
    ("b c h w -> b c 1 1", "mean"): ".mean(dim=(2, 3), keepdim=True)",
    ("b c h w -> c b", "max"): ".amax(dim=(2, 3)).permute(1, 0)",
    ("b n d -> b", "prod"): ".prod(dim=2).prod(dim=1)",
    ("b ... d -> b ...", "sum"): ".sum(dim=-1)",
}
REDUCTIONS = ("mean", "max", "sum", "prod")


@pytest.mark.parametrize("pattern, given", CHAINS)
def test_a_pattern_is_a_chain_of_methods(pattern: str, given: str) -> None:
    sizes = {} if given in REDUCTIONS else {name: name for name in given.split()}
    assert methods(pattern, sizes, given if given in REDUCTIONS else "") == CHAINS[pattern, given]


@pytest.mark.parametrize(
    "pattern, sizes",
    [
        ("b c h w", {}),
        ("b c -> b d", {}),
        ("b c -> b", {}),
        ("b (h d) -> b h d", {}),
        ("b c -> b c", {"c": "3"}),
        ("b b -> b", {}),
        ("b (c 2) -> b c", {}),
        ("b (...) d -> b ... d", {}),
        ("... d -> r ... d", {"r": "2"}),
        ("b (c -> b c", {}),
    ],
)
def test_what_einops_refuses_or_checks_further_has_no_chain(pattern: str, sizes: dict[str, str]) -> None:
    assert methods(pattern, sizes) is None


def test_axes_of_einsum_get_letters() -> None:
    assert equation("b h i d, b h j d -> b h i j") == "bhid,bhjd->bhij"
    assert equation("batch head d, batch d -> batch head") == "bhd,bd->bh"
    assert equation("... i, ... i -> ...") == "...i,...i->..."
    assert equation("b (h d), b d -> b h") is None
