"""The composition root: which implementation fills which port, one file a process.

``values`` turns the settings into the parts' own option types; the other files are the factories that Ray's wrappers
name as ``module:function`` and call in their own processes, with the settings as plain values.
"""
