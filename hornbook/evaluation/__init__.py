"""How good a model is: bits per byte on frozen sets of texts that no arm trains on."""
