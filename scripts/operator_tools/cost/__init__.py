"""What a month costs, item by item, beside what the naive way would cost."""
