"""What the model looks at: a module for each world, its contract in its docstring."""
