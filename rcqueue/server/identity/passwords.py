"""argon2id, at most two hashes at once: a rush of sign-ins cannot take the memory of the queue."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_LENGTH = 12

_hasher = PasswordHasher()
_two = ThreadPoolExecutor(2, thread_name_prefix="argon2")
_nobody = _hasher.hash("nobody has this password")


def weakness(password: str, name: str) -> str | None:
    """Why a password is not taken, or None."""
    if len(password) < MIN_LENGTH:
        return f"a password of at least {MIN_LENGTH} characters was expected"
    if name.casefold() in password.casefold():
        return "the password holds the account's name"
    return None


async def hash_password(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_two, _hasher.hash, password)


async def verify(stored: str | None, password: str) -> bool:
    """Takes as long for an account that is not there (`stored` None)."""

    def check() -> bool:
        try:
            return _hasher.verify(stored or _nobody, password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False

    return await asyncio.get_running_loop().run_in_executor(_two, check)
