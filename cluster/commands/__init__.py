"""The subcommands of `library`: every file here is one, `NAME.py` with a click command (or group) called `NAME`.

Heavy imports (Ray, asyncpg, the service itself) belong inside of the functions: `library --help` imports every file.
"""
