"""Who sits at the screen, as far as this program needs to know."""

import getpass


def author() -> str:
    """The name that saves are signed with: that of the account on this machine."""
    try:
        return getpass.getuser()
    except OSError:  # a container without users
        return "person"
