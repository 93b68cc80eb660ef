"""What reproduces a paper and is not what this package recommends."""
