"""The compiler: files, variables and observations in; a sealed plan or diagnostics out."""
