"""Training: recipes, augmentation, runs and export. Needs the extra ``train``."""
