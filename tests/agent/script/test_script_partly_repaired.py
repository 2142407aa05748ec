"""What is kept of a repair after which something is still to be told of a class."""

from __future__ import annotations

import textwrap
from pathlib import Path

from repairs import HEADER, Bench, X


def test_a_repair_stays_where_the_script_leaves_out_a_hook_that_was_there_before(tmp_path: Path) -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 3)
                self.fc.register_full_backward_hook(self._slower)

            @staticmethod
            def _slower(module, grad_input, grad_output):
                return tuple(item * 0.1 for item in grad_input)

            def forward(self, x, times=2):
                for _ in range(times):
                    x = self.fc(x)
                return x
        """
    text = HEADER + textwrap.dedent(source)
    done = Bench(tmp_path / "net.py", text, X, {}).repaired()
    assert done.text == text.replace("times=2", "times: int = 2")
    assert done.state.script.ok
    assert not done.whole
    assert [item.code for item in done.state.script.failures] == ["script-trap"]
