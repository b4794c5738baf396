"""Who sits at the screen, as far as this program needs to know."""

import getpass


def author() -> str:
    """Who saves: the name of the account that the app runs under."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in some containers
        return "someone"
