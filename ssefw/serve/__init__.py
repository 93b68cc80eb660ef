"""The pages of a store in a browser: what runs, what failed and what to do, and what came out."""
