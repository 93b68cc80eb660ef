"""Where the server is heard, and the address to open."""

import ipaddress
import socket

from ssefw.errors import LaunchError

__all__ = ["address_of", "listening"]


def listening(host: str, port: int) -> socket.socket:
    """Return a socket on which browsers are heard; port 0 takes a free one.

    Raises
    ------
    LaunchError
        If the port is taken or the host is none of this machine's.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LaunchError(
            f"Nothing can listen on {host}:{port} ({reason}): give another --port, or 0 for a "
            "free one."
        ) from error


def address_of(heard: socket.socket, token: str) -> str:
    """Return the address that lets somebody in."""
    host, port = heard.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = socket.gethostname()
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/?token={token}"
