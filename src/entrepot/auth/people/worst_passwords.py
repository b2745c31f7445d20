"""The words that passwords are guessed by first: the commonest ones of published leaks, and what this product suggests.

Written in lower case, without the digits and signs that people put around them; the policy looks through those.
"""

from __future__ import annotations

from typing import Final

__all__ = ["WORST_WORDS"]

_TEXT: Final = """
admin administrator anonymous artifact changeit changeme cloud container default demo devops docker entrepot
example guest harbor harbour helm image images kubernetes linux login manager master monitor oper operator
oracle passphrase passw0rd passwd password passwort podman postgres private production public pull push quay
registry repository root secret security server service storage super support system team temp test tester
testing token user username welcome
access angel asdf azerty baseball batman charlie chelsea computer dragon football freedom friend hello hunter
iloveyou internet jordan killer letmein liverpool lovely matrix michael michelle monkey mustang naruto ninja
pokemon princess qazwsx qwer qwerty samsung shadow soccer starwars sunshine superman trustno trustnoone
whatever zaq1 1q2w3e 1qaz2wsx abc123 p4ssw0rd
mima guanliyuan woaini aini zhongguo beijing shanghai nihao
"""

WORST_WORDS: Final = frozenset(_TEXT.split())
"""Each has four letters at least, so that no ordinary word contains one by accident more often than it must."""
