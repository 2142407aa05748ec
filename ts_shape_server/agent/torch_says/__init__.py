"""What torch and Python say when a run fails, as data: the only place that reads the text of their messages.

A message becomes complaints, each of a kind and with facts. Rules ask for kinds and facts and never for words, so that
what a torch version words differently is one more row here and nothing else. Knows nothing of inputs, arguments or
what anybody does about a complaint.
"""

from ts_shape_server.agent.torch_says.people import clause, for_people, one_line
from ts_shape_server.agent.torch_says.reading import Complaints, read, read_text
from ts_shape_server.agent.torch_says.rows import Complaint
from ts_shape_server.agent.torch_says.shortage import needs_values, out_of_memory
from ts_shape_server.agent.torch_says.type_texts import type_tree

__all__ = [
    "Complaint",
    "Complaints",
    "clause",
    "for_people",
    "needs_values",
    "one_line",
    "out_of_memory",
    "read",
    "read_text",
    "type_tree",
]
