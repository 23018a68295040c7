"""An application of the tests' own, with the real one's module name. It knows nothing of the package under test."""
