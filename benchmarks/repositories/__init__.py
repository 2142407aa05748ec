"""What the product says of checked out repositories, measured without labels."""
