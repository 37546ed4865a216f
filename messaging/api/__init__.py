"""REST in: what back ends ask of messages over HTTP. Parameters to keyword arguments, one service call, JSON."""
