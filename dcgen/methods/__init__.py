"""Methods of the literature to train a network that is to be small: one file for each paper or family."""
