"""The single checks of ``entrepot doctor``: each looks at one thing and says what to do about it."""
