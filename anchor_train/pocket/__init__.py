"""How the pocket model is made, and the experiment that shows the method on it."""
