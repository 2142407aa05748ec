"""One file for each library, named after what is imported: see `ts_shape_server.agent.ecosystem`."""
