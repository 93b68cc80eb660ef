"""What is kept outside of the documents: frames of trajectories, and results of stages by key."""
