"""Where vectors come from: a model in a wheel, a service, a function, or the documents themselves."""
