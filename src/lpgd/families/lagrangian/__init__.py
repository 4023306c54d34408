"""Problems that are known by a differentiable Lagrangian."""
