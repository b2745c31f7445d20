"""The settings of people, passwords, tokens and stored secrets."""

from __future__ import annotations

from typing import Annotated

from entrepot.settings.secret import Secret
from entrepot.settings.section import Section, Setting

__all__ = [
    "AdminSettings",
    "LockoutSettings",
    "PasswordSettings",
    "SecretsSettings",
    "SessionSettings",
    "TokenSettings",
]

_DAY_SECONDS = 86400


class AdminSettings(Section, frozen=True):
    """The first administrator, who is called admin and made at the first start with accounts."""

    password: Annotated[
        Secret,
        Setting(
            "Password of the first administrator; only read when there is none yet.",
            "Empty: a random one is written to a file that only the registry's user can read, and must be changed.",
        ),
    ] = Secret()


class SecretsSettings(Section, frozen=True):
    """How secrets lie in the database."""

    master_key: Annotated[
        Secret,
        Setting(
            "Key (32 bytes, base64) that seals private keys and passwords in the database; all nodes need the same.",
            "Empty: one is made at the first start, in secrets/master.key below data.directory; keep a copy of it.",
        ),
    ] = Secret()


class TokenSettings(Section, frozen=True):
    """The tokens that clients get for a name and a password."""

    lifetime_seconds: Annotated[
        int,
        Setting(
            "How long clients are told a token is good, unless the robot or access token behind it ends before.",
            "300: a stolen one is soon worthless; clients fetch a new one by themselves.",
            reloadable=True,
            minimum=60,
            maximum=3600,
        ),
    ] = 300
    issues_per_minute: Annotated[
        int,
        Setting(
            "How many tokens one account gets from one address (in IPv6: one /64) in a minute, at each HTTP process; "
            "0 for any number.",
            "1200: a build farm behind one address with one robot; a client that asks anew for each request is slowed.",
            minimum=0,
            maximum=1_000_000,
        ),
    ] = 1200
    key_rotation_days: Annotated[
        int,
        Setting(
            "After how many days the key that signs tokens is replaced.",
            "90: often enough that a leaked key is of no lasting use.",
            reloadable=True,
            minimum=1,
            maximum=3650,
        ),
    ] = 90


class PasswordSettings(Section, frozen=True):
    """What people may choose as their password."""

    min_length: Annotated[
        int,
        Setting(
            "Characters a password has at least.",
            "8: what MLPS assessors and Harbor's clients expect; longer is better.",
            reloadable=True,
            minimum=8,
            maximum=128,
        ),
    ] = 8
    classes: Annotated[
        int,
        Setting(
            "How many of the four kinds (lower case, upper case, digits, others) it has at least.",
            "3: what MLPS assessors expect.",
            reloadable=True,
            minimum=1,
            maximum=4,
        ),
    ] = 3
    history: Annotated[
        int,
        Setting(
            "How many of one's former passwords can't be chosen again.",
            "5: what MLPS assessors expect.",
            reloadable=True,
            minimum=0,
            maximum=24,
        ),
    ] = 5
    max_age_days: Annotated[
        int,
        Setting(
            "After how many days a password must be changed; 0 for never.",
            "0: forced changes make weaker passwords (NIST SP 800-63B); set 90 where an assessor asks for it.",
            reloadable=True,
            minimum=0,
            maximum=3650,
        ),
    ] = 0
    change_first: Annotated[
        bool,
        Setting(
            "Whether people must change the password with which an administrator made them, before anything else.",
            "false: programs for Harbor make people and use them at once; set true where an assessor asks for it.",
            reloadable=True,
        ),
    ] = False
    dictionary_file: Annotated[
        str,
        Setting(
            "Absolute path of a file of words, one per line, that no password may be or contain disguised.",
            "Empty: only a built-in list of the commonest ones, and the person's own names. Rows of the keyboard, the "
            "alphabet and the digits, and repetitions, are refused in any case.",
            reloadable=True,
        ),
    ] = ""


class LockoutSettings(Section, frozen=True):
    """What happens when somebody guesses passwords; counted by account and address together."""

    attempts: Annotated[
        int,
        Setting(
            "Wrong passwords for one account from one address before further ones are refused.",
            "5: enough for a person's slips.",
            reloadable=True,
            minimum=1,
            maximum=1000,
        ),
    ] = 5
    window_seconds: Annotated[
        int,
        Setting(
            "Within how many seconds they count together.",
            "900: slow guessing meets the limit too.",
            reloadable=True,
            minimum=10,
            maximum=_DAY_SECONDS,
        ),
    ] = 900
    lock_seconds: Annotated[
        int,
        Setting(
            "For how many seconds further ones are refused.",
            "900: an operator can unlock at once (entrepot user unlock).",
            reloadable=True,
            minimum=10,
            maximum=_DAY_SECONDS,
        ),
    ] = 900


class SessionSettings(Section, frozen=True):
    """Logins in a browser."""

    idle_seconds: Annotated[
        int,
        Setting(
            "After how many seconds without a request a session ends.",
            "1800: what MLPS assessors expect.",
            reloadable=True,
            minimum=60,
            maximum=_DAY_SECONDS,
        ),
    ] = 1800
    absolute_seconds: Annotated[
        int,
        Setting(
            "After how many seconds a session ends in any case.",
            "43200 (12 hours): a working day.",
            reloadable=True,
            minimum=300,
            maximum=30 * _DAY_SECONDS,
        ),
    ] = 43200
    concurrent: Annotated[
        int,
        Setting(
            "Sessions one person can have at once; a further login ends the oldest.",
            "5: a few machines; more is a sign of a shared account.",
            reloadable=True,
            minimum=1,
            maximum=1000,
        ),
    ] = 5
