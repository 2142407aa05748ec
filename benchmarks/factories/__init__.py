"""Whether the models that torchvision and timm make are answered with the input that their authors document."""
