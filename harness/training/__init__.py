"""Trains one run: recipe, schedule, augmentation on the device, a loop that can stop and continue at any step."""
