"""Moving data: a pipeline of batches, its manifests and checkpoints, and the way back."""
