"""What the flow tests are made of: the real programs, real peers, and clients."""
