"""CUDA standalone through brian2cuda: the toolchain, the GPU that is here, what fits into it, and what it costs."""
