"""The parts of a comparison, each on dimensions of its own; `cortexsnn.cortex.compare` puts them together.

`layers` reads what was measured on a network, `areas` and `area_errors` what is known of the cortex; `networks` and
`cortical` have what stands for itself, `nearest` goes from layers to areas, `conditions` pools networks, `pairing` and
`contrasts` set conditions against each other, and `layout` says what each variable is.
"""
