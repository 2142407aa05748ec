"""What the product says on other versions of torch and Python."""
