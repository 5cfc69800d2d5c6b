"""The parts of a comparison, each on dimensions of its own; `cortexsnn.cortex.compare` puts them together.

`layers` reads what was measured on a network and `areas` what is known of the cortex; `networks` and `cortical` have
what stands for itself, `nearest` goes from layers to areas, `conditions` pools networks, `contrasts` sets conditions
against each other, and `layout` says what each variable is.
"""
