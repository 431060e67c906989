"""Make the one exception for what a user can put right. Knows nothing of how it will be shown."""


class Fault(Exception):
    """A fault of a file, a setting or a request; a mistake of ours is an `assert` instead.

    `message` states the fact (lower case, no full stop, the user's names in backticks);
    `help` says what to do about it, or is empty.
    """

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help


class Absent(Fault):
    """What is named is all right, and is not on this machine."""
