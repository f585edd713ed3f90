"""Notices to recipients: what is held for them, once a day, with links that ask for a release."""
