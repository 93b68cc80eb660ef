"""What is set up here."""

from starlette.requests import Request
from starlette.responses import Response

from ssefw.campaigns.queueing.site_check import check_site
from ssefw.serve.render import page
from ssefw.settings import load_settings

__all__ = ["site_page"]


def site_page(request: Request) -> Response:
    """Show what `ssefw config check` says."""
    return page(
        request, "site.html", title="Site", campaign="", checks=list(check_site(load_settings()))
    )
