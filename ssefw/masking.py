"""Passwords and the like taken out of what is shown, written down or logged."""

import logging
import re

__all__ = ["MaskingFormatter", "masked", "masked_address"]

HIDDEN = "***"

_SECRET = (
    r"password|passwd|passphrase|pwd|secret|token|credential|api_?key|access_?key|"
    r"auth_?mechanism_?properties"
)
"""In the name of an option or a setting, says that its value is nobody else's business."""

# Greedy: a password may itself hold the characters that end it.
_IN_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*://[^:@\s]*):(\S*)@(\S*)", re.IGNORECASE)
_IN_WHOLE_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*://[^:@]*):(.*)@(.*)", re.IGNORECASE | re.DOTALL)
_NAMED = re.compile(
    rf"""(?P<name>[\w.-]*(?:{_SECRET})[\w.-]*["']?\s*[=:]\s*)"""
    r"""(?:"[^"\n]*"?|'[^'\n]*'?|[^\s&"',;)\]}]+)""",
    re.IGNORECASE,
)


def masked(text: str) -> str:
    """Return a text without the passwords of addresses in it and the values of secret options."""
    return _NAMED.sub(rf"\g<name>{HIDDEN}", _IN_ADDRESS.sub(_without_password, text))


def masked_address(address: str) -> str:
    """Return an address without its secrets; it may hold blanks, unlike one within a text."""
    shown = _IN_WHOLE_ADDRESS.sub(_without_password, address)
    path, mark, options = shown.partition("?")
    return path + mark + "&".join(map(_masked_option, options.split("&")))


def _without_password(found: re.Match[str]) -> str:
    user, password, rest = found.groups()
    name, equals, _ = re.split("[?&]", password)[-1].partition("=")
    if equals and re.search(_SECRET, name, re.IGNORECASE):
        # The last @ stands within the value of an option, which goes on behind it.
        rest = HIDDEN + "".join(rest.partition("&")[1:])
    return f"{user}:{HIDDEN}@{rest}"


def _masked_option(option: str) -> str:
    name, equals, _ = option.partition("=")
    is_secret = equals and re.search(_SECRET, name, re.IGNORECASE)
    return f"{name}={HIDDEN}" if is_secret else option


class MaskingFormatter(logging.Formatter):
    """Writes log lines without secrets, whoever logs them."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return masked(super().format(record))
