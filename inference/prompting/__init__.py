"""One click: from points in a CT to the node that lies there, as a proposal."""
