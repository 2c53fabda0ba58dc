"""How fast the reading room is, in a real browser, beside the stock viewer."""
