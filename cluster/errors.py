"""What goes wrong around a running service, worded for the person at the terminal: one line that says why."""


class ServiceError(Exception):
    """The service could not be reached, started or stopped."""


class DemoError(Exception):
    """The demo user could not be set up."""


class CallError(Exception):
    """A gRPC call could not be made, or was refused; the text says what to do."""
