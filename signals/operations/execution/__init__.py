"""Send statements under the timeouts that their locks require; report on progress and on who blocks them."""
