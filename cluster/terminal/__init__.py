"""What the subcommands of `library` share: how errors and progress look to a person."""
