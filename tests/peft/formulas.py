"""Numbers of parameters by formula."""


def rein_formula(depth, channels, *, rank=16, tokens=100, query=256):
    """Parameters of Rein with low-rank tokens and queries: tokens, two linears, queries, scale."""
    return (
        depth * rank * (tokens + channels)
        + 2 * (channels**2 + channels)
        + (channels * query + query)
        + (3 * query**2 + query)
        + 1
    )
