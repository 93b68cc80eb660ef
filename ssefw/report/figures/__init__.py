"""One module of figures for each thing that is shown."""
