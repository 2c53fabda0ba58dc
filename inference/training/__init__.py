"""Training of the default model on synthetic phantoms; needs torch, never imported by a worker."""
