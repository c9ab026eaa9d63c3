"""What goes wrong around a running service, worded for the person at the terminal: one line that says why."""


class ServiceError(Exception):
    """The service could not be reached, started or stopped."""


class DemoError(Exception):
    """The demo user could not be set up."""
