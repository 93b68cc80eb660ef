"""What is set up here, and what campaigns have learned from their outcomes."""

from starlette.requests import Request
from starlette.responses import Response

from ssefw.campaigns.queueing.site_check import check_site
from ssefw.documents import Reranking
from ssefw.report.feedback import feedback_section
from ssefw.serve.render import board_of, page, view_of
from ssefw.settings import load_settings

__all__ = ["learning_page", "site_page"]


def site_page(request: Request) -> Response:
    """Show what `ssefw config check` says."""
    return page(
        request, "site.html", title="Site", campaign="", checks=list(check_site(load_settings()))
    )


def learning_page(request: Request) -> Response:
    """Show the ranking of a campaign before and after its outcomes became labels, and why."""
    view = view_of(request)
    found = board_of(request).connection.results.find(Reranking, campaign=view.campaign)
    return page(
        request,
        "learning.html",
        title="Learning",
        campaign=view.campaign,
        view=view,
        learned=feedback_section(list(found)),
    )
