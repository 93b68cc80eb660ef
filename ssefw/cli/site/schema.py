"""``ssefw schema``: what a campaign file may hold, for editors, and what programs get."""

import json

import click

from ssefw.cli.say import say


@click.command(epilog="Example: ssefw schema > campaign.schema.json")
@click.argument("of", type=click.Choice(["campaign", "estimate"]), default="campaign")
def command(of: str) -> None:
    """Print the JSON schema of campaign files, or of the estimates that --json prints.

    An editor with a YAML language server checks and completes a file whose first line is
    `# yaml-language-server: $schema=campaign.schema.json`.
    """
    if of == "estimate":
        from ssefw.documents import ESTIMATE_SCHEMA

        say(json.dumps(ESTIMATE_SCHEMA, indent=2))
        return
    from ssefw.campaigns.file import CampaignSpec

    schema = CampaignSpec.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "ssefw campaign"
    say(json.dumps(schema, indent=2))
