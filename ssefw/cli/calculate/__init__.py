"""The commands that calculate or analyze one thing, without a campaign."""
