"""REST in: what client SDKs ask of conversations over HTTP. Parameters to keyword arguments, one service call, JSON."""
