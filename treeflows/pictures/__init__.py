"""scikit-learn displays."""
