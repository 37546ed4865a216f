"""What conversations do: rules and the order of steps. Async; takes and returns domain words."""
