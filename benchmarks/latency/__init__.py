"""How long an editor waits: a session with the server over stdio, timed by the clock."""
