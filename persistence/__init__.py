"""The world outside, one package a system; each fills ports that ``actors`` and ``serve_app`` own."""
