"""``ssefw schema``: what a campaign file may hold, for editors."""

import json

import click


@click.command(epilog="Example: ssefw schema > campaign.schema.json")
def command() -> None:
    """Print the JSON schema of campaign files.

    An editor with a YAML language server checks and completes a file whose first line is
    `# yaml-language-server: $schema=campaign.schema.json`.
    """
    from ssefw.campaigns.file import CampaignSpec

    schema = CampaignSpec.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "ssefw campaign"
    click.echo(json.dumps(schema, indent=2))
