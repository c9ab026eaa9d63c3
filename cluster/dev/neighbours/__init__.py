"""Small Catalog, Download and Account Services for development and tests: real gRPC, seeded, and able to misbehave.

Reading order: ``world`` (what they know and how they are told to misbehave, as files), ``servers`` (what they answer),
``__main__`` (one of them as a process), ``parts`` (that process in the stack).
"""
