"""What a model costs on given machines, and the model that costs what is wanted."""
