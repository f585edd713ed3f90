"""rcqueue: several mail admins marshal one live queue of held mail, in terminals."""

__version__ = "0.1.0"
