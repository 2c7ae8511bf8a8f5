"""What keys look like: of known services, private keys, passwords in addresses, and this machine's own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_BEGIN = r"(?<![A-Za-z0-9])"
_END = r"(?![A-Za-z0-9])"
_QUOTE = r"""["'`]?"""


@dataclass(frozen=True, slots=True)
class Key:
    """A key in a text.

    Attributes:
        what: What it is, e.g. ``a token of Hugging Face``.
        start: Where it begins.
        end: Where it ends.
    """

    what: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of key.

    Attributes:
        what: What it is.
        signs: One of these is in every such key, in lower case: texts are searched for them, which is quick.
        pattern: Matches it; group ``key``, where there is one, is the key itself.
        before: How far in front of its sign a match may begin.
    """

    what: str
    signs: tuple[str, ...]
    pattern: re.Pattern[str]
    before: int


def _kind(what: str, signs: str, pattern: str, flags: int = 0, *, before: int = 0) -> _Kind:
    return _Kind(what, tuple(signs.split()), re.compile(pattern, flags), before)


_NAMES = (
    "api[_-]?keys?|access[_-]?key|secret[_-]?key|client[_-]?secret|access[_-]?token|auth[_-]?token|"
    "api[_-]?token|hf[_-]?token|hub[_-]?token|bearer[_-]?token|secret|password|passwd|credentials?"
)
# A value with letters and digits, so neither a word nor a number.
_MIXED = r"(?=[A-Za-z_./+=-]*\d)(?=[\d_./+=-]*[A-Za-z])[A-Za-z0-9_./+=-]"
# What stands in a key's place: nothing, a variable, a word to be replaced.
_STAND_IN = r"null|none|true|false|empty|dummy|your|xxx|\*|<|\$|\{|\(|env:"
_KINDS = (
    _kind("a token of Hugging Face", "hf_", _BEGIN + r"hf_[A-Za-z0-9]{16,}"),
    _kind("a token of Hugging Face", "api_org_", _BEGIN + r"api_org_[A-Za-z0-9]{16,}"),
    # Of OpenAI, Anthropic, OpenRouter and others; words with hyphens have no digits.
    _kind("an API key", "sk-", _BEGIN + r"sk-(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{16,}"),
    _kind(
        "an API key",
        "gsk_ nvapi- xai- pplx- fw_ r8_",
        _BEGIN + r"(?:gsk_|nvapi-|xai-|pplx-|fw_|r8_)[A-Za-z0-9_-]{20,}",
    ),
    _kind("an AWS access key", "akia asia", _BEGIN + r"(?:AKIA|ASIA)(?![0-9A-Z]*EXAMPLE)[0-9A-Z]{16}" + _END),
    _kind(
        "an AWS secret key",
        "aws_secret awssecret secretaccesskey secret_access",
        rf"(?:aws_?secret|secret_?access)\w*{_QUOTE}\s*[:=]\s*{_QUOTE}(?P<key>(?![A-Za-z0-9/+]*EXAMPLE)[A-Za-z0-9/+]{{40}})",
        re.IGNORECASE,
    ),
    _kind("a token of GitHub", "ghp_ gho_ ghu_ ghs_ ghr_", _BEGIN + r"gh[pousr]_[A-Za-z0-9]{20,}"),
    _kind("a token of GitHub", "github_pat_", _BEGIN + r"github_pat_[A-Za-z0-9_]{20,}"),
    _kind("a token of GitLab", "glpat-", _BEGIN + r"glpat-[A-Za-z0-9_-]{16,}"),
    _kind("a token of Slack", "xox", _BEGIN + r"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
    _kind("a web hook of Slack", "hooks.slack.com", r"hooks\.slack\.com/services/[A-Za-z0-9/]{20,}"),
    _kind("a key of Google", "aiza", _BEGIN + r"AIza[A-Za-z0-9_-]{35}"),
    _kind("a token of Google", "ya29.", _BEGIN + r"ya29\.[A-Za-z0-9_-]{20,}"),
    _kind("a token of npm", "npm_", _BEGIN + r"npm_[A-Za-z0-9]{36}"),
    _kind("a token of PyPI", "pypi-ageichl", _BEGIN + r"pypi-AgEIcHl[A-Za-z0-9_-]{20,}"),
    _kind("a key of Stripe", "k_live_", _BEGIN + r"[rs]k_live_[A-Za-z0-9]{16,}", before=1),
    _kind("a key of SendGrid", "sg.", _BEGIN + r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    _kind(
        "a JSON web token", "eyj", _BEGIN + r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
    ),
    _kind("a key of Azure", "accountkey=", r"AccountKey=(?P<key>[A-Za-z0-9+/=]{40,})", re.IGNORECASE),
    _kind("a private key", "-----begin", r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"),
    _kind("a private key", "putty-user-key-file", r"PuTTY-User-Key-File-\d"),
    _kind(
        "a password in an address",
        "://",
        r"://(?P<key>[^\s/:@\"'<>\\]*:[^\s/@\"'<>\\]+|[A-Za-z0-9_-]{20,})@[A-Za-z0-9\[]",
    ),
    _kind(
        "a key in an address",
        "key= token= sig= signature= secret= password=",
        r"[?&](?:\w{0,40}[_-])?(?:api[_-]?key|apikey|key|token|sig|signature|secret|password)="
        r"(?P<key>(?=[^\s&\"'<>]*\d)[^\s&\"'<>#]{12,})",
        re.IGNORECASE,
        before=60,
    ),
    _kind(
        "a key in a header",
        "bearer authorization",
        rf"(?:bearer\s+|authorization{_QUOTE}\s*[:=]\s*{_QUOTE}basic\s+)(?P<key>(?=[A-Za-z._~+/=-]*\d)[A-Za-z0-9._~+/=-]{{16,}})",
        re.IGNORECASE,
    ),
    _kind(
        "a key",
        "key token secret passw credential",
        rf"(?:{_NAMES}){_QUOTE}\s*[:=]\s*{_QUOTE}(?P<key>{_MIXED}{{16,}})",
        re.IGNORECASE,
        before=10,
    ),
    _kind(
        "a key on a command line",
        "--",
        rf"--(?:\w{{0,20}}-)?(?:{_NAMES}|token)(?:=|\s+){_QUOTE}(?P<key>{_MIXED}{{8,}})",
        re.IGNORECASE,
    ),
    _kind(
        "a token",
        "token",
        rf"(?<![A-Za-z0-9_-])token{_QUOTE}\s*[:=]\s*{_QUOTE}(?P<key>{_MIXED}{{20,}})",
        re.IGNORECASE,
    ),
    # Of any length and kind, as the whole value of a setting; a vocabulary has numbers there.
    _kind(
        "a password",
        "passw",
        rf"(?im)^[ \t-]*{_QUOTE}(?:\w{{0,40}}[_-])?passw(?:or)?d{_QUOTE}[ \t]*[:=][ \t]*{_QUOTE}"
        rf"(?P<key>(?!{_STAND_IN}|\d+\W*$)[^\s\"'#,]{{6,}}){_QUOTE}[ \t]*,?[ \t]*\r?$",
        before=60,
    ),
    _kind(
        "a key",
        "key secret",
        rf"(?im)^[ \t-]*{_QUOTE}(?:\w{{0,40}}[_-])?(?:api[_-]?key|secret){_QUOTE}[ \t]*[:=][ \t]*{_QUOTE}"
        rf"(?P<key>(?!{_STAND_IN}){_MIXED}{{6,}}){_QUOTE}[ \t]*,?[ \t]*\r?$",
        before=60,
    ),
    _kind("a password", "machine", r"machine\s+\S+\s+login\s+\S+\s+password\s+(?P<key>\S+)"),
)
_SECRET_NAME = re.compile(r"(?:API_?KEY|_KEY|SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|_PAT)S?(?:_?\d+)?$")
_NOT_SECRET = re.compile(r"(?i)true|false|none|null|empty|dummy|no-?key|unused|\d{1,7}")
_SHORTEST, _LONG = 8, 16


def keys_in(text: str, own: Mapping[str, str]) -> Iterator[Key]:
    """Every key in a text; one may be found as several kinds.

    Args:
        text: The text.
        own: Keys of this machine: what each is -> its value.
    """
    lower = _lower(text)
    for kind in _KINDS:
        group = "key" if "key" in kind.pattern.groupindex else 0
        for sign in kind.signs:
            place = lower.find(sign)
            while place >= 0:
                starts = range(max(0, place - kind.before), place + 1)
                found = next(filter(None, (kind.pattern.match(text, start) for start in starts)), None)
                if found is not None:
                    yield Key(kind.what, *found.span(group))
                place = lower.find(sign, place + 1)
    for what, value in own.items():
        start = text.find(value)
        while start >= 0:
            yield Key(what, start, start + len(value))
            start = text.find(value, start + len(value))


def own_keys(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Values of environment variables that hold keys (``*_API_KEY``, ``*_TOKEN`` ...), by what they are."""
    found = {}
    for name, value in (os.environ if environment is None else environment).items():
        value = value.strip()
        is_path = value.startswith(("/", "~")) and os.path.exists(os.path.expanduser(value))
        is_word = value.isalpha() and len(value) < _LONG
        if not _SECRET_NAME.search(name.upper()) or len(value) < _SHORTEST or is_path or is_word:
            continue
        if not _NOT_SECRET.fullmatch(value):
            found[f"the value of {name}"] = value
    return found


def _lower(text: str) -> str:
    """In lower case, every letter in its place."""
    lower = text.lower()
    return (
        lower if len(lower) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    )
