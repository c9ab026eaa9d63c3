"""The composition root: settings, wiring, the command line and the development stack. It may import every room."""
