"""What a probe may do, and how the platform holds it to that. `policy.enter` is the one way in."""
