"""The one error a user can cause."""


class InputError(ValueError):
    """A mistake in data, config or command line, told in one sentence that names the file, the item and the value.

    Commands print the sentence and exit with status 2; every other exception is a bug of ours.
    """
