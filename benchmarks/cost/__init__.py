"""What the command line takes: processor time, time by the clock, memory."""
