"""What every kind of test shares: loud skips, rotating seeds, time budgets, patience."""
