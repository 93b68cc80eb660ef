"""The pages: what each of them asks of a store and shows."""
