"""Keys that a command signs with: out of a file that a passphrase encrypts."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Final

from darkpool.cli.errors import NoPassphrase, UnreadableFile

KEY_FILE_VARIABLE: Final = "DARKPOOL_PASSPHRASE"


def account_key(path: Path) -> bytes:
    """The private key of an account's key file, 32 bytes.

    Its passphrase is in the environment, or is asked for at the terminal.

    Raises:
        UnreadableFile: the file cannot be read.
        NoPassphrase: there is none.
        MalformedKeyFile, WrongPassphrase: it is no key file of an account, or of another
            passphrase.
    """
    from crypto.signing.key_file import read_account_key

    passphrase = os.environ.get(KEY_FILE_VARIABLE)
    if passphrase is None:
        if not sys.stdin.isatty():
            raise NoPassphrase(KEY_FILE_VARIABLE)
        passphrase = getpass.getpass(f"Passphrase of {path}: ")
    try:
        return read_account_key(path, passphrase)
    except OSError as error:
        raise UnreadableFile(path, str(error.strerror)) from None
