"""From a campaign file to the jobs it means: selection, graphs, costs, and what a change keeps."""
