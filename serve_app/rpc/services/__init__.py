"""The handlers, one service a file; ``everything`` puts them into one table."""
