"""Resources that every host can have, one module each: the desired state, the questions, and the steps that establish it."""
