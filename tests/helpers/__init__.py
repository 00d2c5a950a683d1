"""What tests in several rooms share: draws and fits made without Stan, densities, waiting."""
