"""Names are bound, read and changed as Python's scopes have it."""

import ast

import pytest

from ts_shape_server.analysis.scopes import bound_by, changed_within, free_names


@pytest.mark.parametrize(
    ("code", "bound", "free"),
    [
        ("x = y", "x", "y"),
        ("a, (b, *c) = f(d)", "a b c", "f d"),
        ("x[i] = y", "", "x i y"),
        ("import a.b, c as d", "a d", ""),
        ("from m import a as b", "b", ""),
        ("def f(p, q=r):\n  s = p + t\n  return s", "f", "r t"),
        ("def f(p: T) -> U:\n  global g\n  g = p\n  return g", "f", "g"),
        ("class A(B):\n  x = 1\n  def f(self): return self.x + y", "A", "B y"),
        ("x = [i + k for i in j]", "x", "j k"),
        ("class A:\n  x: T = y", "A", "T y"),
        ("x: T = y", "x", "y"),
        ("x = lambda a, b=c: a + d", "x", "c d"),
        ("for a in b:\n  c = a\n  d = c + e", "a c d", "b e"),
        ("for a in b:\n  c = c + a", "a c", "b c"),
        ("if a:\n  b = 1\n  c = b", "b c", "a"),
        ("a += b", "a", "a b"),
        ("with f() as g: h = g", "g h", "f"),
        ("try:\n  a\nexcept E as e:\n  b = 1", "b e", "E a"),
        ("if (n := f()): pass", "n", "f"),
    ],
)
def test_names(code: str, bound: str, free: str) -> None:
    (statement,) = ast.parse(code).body
    assert bound_by(statement) == set(bound.split())
    assert free_names(statement) == set(free.split())


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("x['a'] = 1", "x"),
        ("x.y.z += 1", "x"),
        ("x.append(1)", "x"),
        ("for i in j:\n  x.append(i)", "x"),
        ("x.fit(1)", ""),
        ("x = 1", ""),
        ("f(x)", ""),
        ("del x[0]", "x"),
    ],
)
def test_changes_in_place(code: str, changed: str) -> None:
    (statement,) = ast.parse(code).body
    assert changed_within(statement) == set(changed.split())
