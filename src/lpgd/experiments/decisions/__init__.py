"""What experiments share whose model predicts the costs of a decision: rules, regret, reports."""
