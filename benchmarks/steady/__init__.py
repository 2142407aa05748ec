"""Whether the answer for a class is the same on an idle machine and on a busy one."""
